"""Flip images in alternate epochs instead of at random."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from fovea.models.augmentation.per_image import PerImageLayer

# Odd 32-bit constants of the hash, those of splitmix and murmur.
_STRIDE = int(np.int32(np.uint32(0x9E3779B9)))
_SCRAMBLE = int(np.int32(np.uint32(0x85EBCA6B)))


@keras.saving.register_keras_serializable(package="fovea")
class AlternatingFlip(PerImageLayer):
    """Flip one half of the images in even epochs, the other half in odd ones.

    Jordan: "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv 2404.00498, section
    3.6: with random flips an image looks the same in half of all pairs of successive
    epochs; alternating avoids that, so that two epochs always contain both versions of
    all images.

    A layer knows neither the index of an image nor the epoch. Therefore

    - one bit of a hash of an image's content decides to which half it belongs. So this
      must be the first augmentation layer: an image that was shifted before has a
      different hash each time, and is flipped at random. The halves do not depend on
      the order of the images or on where training resumes.
    - the callback `AlternateFlips` sets the epoch. Counting steps instead would need
      the number of steps in an epoch when the model is built, and would be wrong after
      a change of batch size.
    - without the callback the layer flips at random.

    Args:
        value_range: Values of black and white, to hash images as 8-bit integers.

    Input shape:
        (N, H, W, C)

    Output shape:
        The same.

    Example:
    ```python
    model.fit(images, labels, callbacks=[augmentation.AlternateFlips()])
    ```
    """

    def __init__(self, value_range: tuple[float, float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_range = tuple(value_range)
        # Counts epochs from 1; 0 is unknown. The state of a seed generator is a
        # variable that Keras does not count as a weight.
        self.clock = keras.random.SeedGenerator(0)

    def set_epoch(self, epoch: int | None) -> None:
        """Set the epoch, counted from 0; None makes flips random."""
        self.clock.state.assign([0, 0 if epoch is None else epoch + 1])

    def augment(self, images: tf.Tensor) -> tf.Tensor:
        """Return the images, half of them flipped."""
        count = ops.cast(self.clock.state.value[1], "int32")
        odd = ops.equal(count % 2, 0)  # the second epoch has count 2
        alternating = ops.logical_xor(self.halves(images), odd)
        random = self.draw(images) < 0.5
        flipped = ops.where(ops.equal(count, 0), random, alternating)
        return ops.where(flipped[:, None, None, None], ops.flip(images, axis=2), images)

    def halves(self, images: tf.Tensor) -> tf.Tensor:
        """Return which half every image belongs to, by its content: bool (N,)."""
        low, high = self.value_range
        pixels = ops.cast(ops.round((images - low) * (255 / (high - low))), "int32")
        pixels = ops.reshape(pixels, (ops.shape(pixels)[0], -1))
        # Multiply-shift hashing: the top bit of a sum of pixels, each times an odd
        # number that depends on its position and on the seed, modulo 2**32.
        salt = ops.cast(self.generator.state.value[0], "int32")
        position = (ops.arange(ops.shape(pixels)[1], dtype="int32") + salt) * _STRIDE
        position = ops.bitwise_xor(position, ops.right_shift(position, 15))
        factors = ops.bitwise_or(position, 1) * _SCRAMBLE
        return ops.sum(pixels * factors, axis=1) < 0

    def save_own_variables(self, store: Any) -> None:
        """Save the random state and the epoch."""
        super().save_own_variables(store)
        store["clock"] = ops.convert_to_numpy(self.clock.state)

    def load_own_variables(self, store: Any) -> None:
        """Load the random state and the epoch."""
        super().load_own_variables(store)
        self.clock.state.assign(store["clock"][...])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {**super().get_config(), "value_range": self.value_range}


class AlternateFlips(keras.callbacks.Callback):
    """Sets the epoch of every `AlternatingFlip` of the model, nested ones included."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the epoch that begins."""
        _set_epoch(self.model, epoch)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Return to random flips, for further training without this callback."""
        _set_epoch(self.model, None)


def _set_epoch(model: keras.Model, epoch: int | None) -> None:
    for layer in model.layers:
        if isinstance(layer, AlternatingFlip):
            layer.set_epoch(epoch)
        elif isinstance(layer, keras.Model):
            _set_epoch(layer, epoch)
