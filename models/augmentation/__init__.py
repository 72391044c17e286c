"""Augmentation: layers that vary training images and do nothing otherwise.

A policy is a named list of Keras layers that a builder adds after its normalisation
layer, so that augmentation is part of the model file, runs on the device and has a
single implementation. Every layer here

- draws separate random numbers for every image of a batch,
- compiles under XLA and computes in float32 with any compute dtype,
- is the identity unless it is called with `training=True`,
- has no weights (Keras does not count its random state as one), so that the weights of
  a model fit the same model built without augmentation.

None of Keras' own random image layers does all of that. RandomTranslation,
RandomRotation and RandomZoom do not compile under XLA; RandomCrop draws one offset for
a batch and RandAugment one choice of operations; RandomSaturation is correct only where
black is 0; and all of them default to `training=True`, so that `model(images)` would
classify distorted images (tests/models/augmentation/test_keras.py).

Mixing has to change labels, which a layer inside a model does not receive: `mixup` and
`cutmix` are functions of (images, labels) for the input pipeline.
"""

from fovea.models.augmentation.alternating_flip import AlternateFlips, AlternatingFlip
from fovea.models.augmentation.color_jitter import ColorJitter
from fovea.models.augmentation.cutmix import cutmix
from fovea.models.augmentation.cutout import Cutout
from fovea.models.augmentation.horizontal_flip import HorizontalFlip
from fovea.models.augmentation.mixup import mixup
from fovea.models.augmentation.policies import (
    MIXINGS,
    POLICIES,
    resolve,
    resolve_mixing,
)
from fovea.models.augmentation.rand_augment import RandAugment
from fovea.models.augmentation.random_affine import RandomAffine
from fovea.models.augmentation.random_resized_crop import RandomResizedCrop
from fovea.models.augmentation.random_shift import RandomShift

__all__ = [
    "MIXINGS",
    "POLICIES",
    "AlternateFlips",
    "AlternatingFlip",
    "ColorJitter",
    "Cutout",
    "HorizontalFlip",
    "RandAugment",
    "RandomAffine",
    "RandomResizedCrop",
    "RandomShift",
    "cutmix",
    "mixup",
    "resolve",
    "resolve_mixing",
]
