"""The registry of architectures: name, module, paper and idea of each.

Importing this module imports neither Keras nor TensorFlow, so that listing the
architectures is fast; getting a builder does.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fovea.models.validation import nearest

if TYPE_CHECKING:
    import keras
    import numpy as np


@dataclass(frozen=True)
class Architecture:
    """One row of the registry.

    Attributes:
        name: Name for `build`; also the name of the builder function.
        module: Module under `models/zoo/` that holds the builder.
        year: Year of the paper.
        paper: Authors and abridged title.
        idea: The idea of the architecture, in one line.
        input_shape: The paper's (height, width, channels).
        num_classes: The paper's number of classes.
        parameters: Trainable parameters at that size; a test counts them.
        options: Options that make the builder's default the paper's network.
        accuracy: Accuracy on the test split of a data set as measured by the project
            (see benchmarks/RESULTS.md); empty where it was not measured.
    """

    name: str
    module: str
    year: int
    paper: str
    idea: str
    input_shape: tuple[int, int, int]
    num_classes: int
    parameters: int
    options: dict[str, Any] = field(default_factory=dict)
    accuracy: str = ""


_MNIST = (28, 28, 1)
_CIFAR = (32, 32, 3)
_IMAGENET = (224, 224, 3)

_BRIDLE = "Bridle: Training Stochastic Model Recognition Algorithms as Networks"
_LECUN_1989 = "LeCun: Generalization and Network Design Strategies"
_LECUN_1998 = "LeCun et al.: Gradient-Based Learning Applied to Document Recognition"
_KRIZHEVSKY = "Krizhevsky et al.: ImageNet Classification with Deep CNNs"
_SIMONYAN = "Simonyan, Zisserman: Very Deep Convolutional Networks"
_LIN = "Lin et al.: Network In Network"
_SZEGEDY = "Szegedy et al.: Going Deeper with Convolutions"
_SPRINGENBERG = "Springenberg et al.: Striving for Simplicity"
_LONG = "Long et al.: Fully Convolutional Networks for Semantic Segmentation"
_JADERBERG = "Jaderberg et al.: Spatial Transformer Networks"
_HE = "He et al.: Deep Residual Learning for Image Recognition"
_YU = "Yu, Koltun: Multi-Scale Context Aggregation by Dilated Convolutions"
_SILVER = "Silver et al.: Mastering the Game of Go with Deep Networks and Tree Search"
_ZAGORUYKO = "Zagoruyko, Komodakis: Wide Residual Networks"
_JORDAN = "Jordan: 94% on CIFAR-10 in 3.29 Seconds on a Single GPU"

_VGG = "two stacked 3x3 filters have the field of one 5x5, with fewer weights"
_RESNET_CIFAR = "a block learns only the change to its input, so depth does not hurt"
_RESNET = "residual blocks at ImageNet size"

# In the order of a course. To add an architecture, add one file and one row.
_ROWS = (
    Architecture(
        "softmax_regression",
        "softmax_regression",
        1989,
        _BRIDLE,
        "the baseline: one linear template for each class",
        _MNIST,
        10,
        7_850,
        accuracy="MNIST 92.0%",
    ),
    Architecture(
        "mlp",
        "mlp",
        1998,
        _LECUN_1998,
        "fully connected hidden layers on the flattened image",
        _MNIST,
        10,
        266_610,
    ),
    Architecture(
        "locally_connected",
        "locally_connected",
        1989,
        _LECUN_1989,
        "each unit has a small receptive field, weights are not shared",
        (16, 16, 1),
        10,
        1_226,
        {"filters": 1},
    ),
    Architecture(
        "lenet5",
        "lenet5",
        1998,
        _LECUN_1998,
        "local fields, shared weights and subsampling in one network",
        (32, 32, 1),
        10,
        61_706,
        accuracy="MNIST 99.0%",
    ),
    Architecture(
        "alexnet",
        "alexnet",
        2012,
        _KRIZHEVSKY,
        "ReLU, dropout and two GPUs make a large network trainable",
        (227, 227, 3),
        1000,
        60_965_224,
    ),
    Architecture("vgg11", "vgg", 2014, _SIMONYAN, _VGG, _IMAGENET, 1000, 132_863_336),
    Architecture("vgg13", "vgg", 2014, _SIMONYAN, _VGG, _IMAGENET, 1000, 133_047_848),
    Architecture("vgg16", "vgg", 2014, _SIMONYAN, _VGG, _IMAGENET, 1000, 138_357_544),
    Architecture("vgg19", "vgg", 2014, _SIMONYAN, _VGG, _IMAGENET, 1000, 143_667_240),
    Architecture(
        "nin",
        "nin",
        2014,
        _LIN,
        "1x1 convolutions as a small network at every pixel, average instead of dense",
        _CIFAR,
        10,
        966_986,
    ),
    Architecture(
        "googlenet",
        "googlenet",
        2014,
        _SZEGEDY,
        "filters of several sizes in parallel, 1x1 bottlenecks save compute",
        _IMAGENET,
        1000,
        6_998_552,
    ),
    Architecture(
        "all_cnn_c",
        "all_cnn_c",
        2015,
        _SPRINGENBERG,
        "pooling replaced by strided convolution: convolutions only",
        _CIFAR,
        10,
        1_369_738,
    ),
    Architecture(
        "fcn",
        "fcn",
        2015,
        _LONG,
        "dense layers as convolutions: any image size, a class at every position",
        _CIFAR,
        10,
        1_871_306,
    ),
    Architecture(
        "stn",
        "stn",
        2015,
        _JADERBERG,
        "the network learns to resample the image before it classifies",
        _MNIST,
        10,
        66_018,
    ),
    Architecture(
        "resnet20", "resnet_cifar", 2015, _HE, _RESNET_CIFAR, _CIFAR, 10, 269_722
    ),
    Architecture(
        "resnet32", "resnet_cifar", 2015, _HE, _RESNET_CIFAR, _CIFAR, 10, 464_154
    ),
    Architecture(
        "resnet44", "resnet_cifar", 2015, _HE, _RESNET_CIFAR, _CIFAR, 10, 658_586
    ),
    Architecture(
        "resnet56", "resnet_cifar", 2015, _HE, _RESNET_CIFAR, _CIFAR, 10, 853_018
    ),
    Architecture(
        "resnet110", "resnet_cifar", 2015, _HE, _RESNET_CIFAR, _CIFAR, 10, 1_727_962
    ),
    Architecture("resnet18", "resnet", 2015, _HE, _RESNET, _IMAGENET, 1000, 11_689_512),
    Architecture("resnet34", "resnet", 2015, _HE, _RESNET, _IMAGENET, 1000, 21_797_672),
    Architecture("resnet50", "resnet", 2015, _HE, _RESNET, _IMAGENET, 1000, 25_557_032),
    Architecture(
        "dilated",
        "dilated",
        2016,
        _YU,
        "dilated filters have large fields without pooling, at full resolution",
        _CIFAR,
        10,
        65_962,
    ),
    Architecture(
        "alphago_policy",
        "alphago_policy",
        2016,
        _SILVER,
        "no pooling: every point of the board is a class of its own",
        (19, 19, 48),
        361,
        3_882_793,
    ),
    Architecture(
        "wrn",
        "wrn",
        2016,
        _ZAGORUYKO,
        "residual blocks wide rather than deep: the same accuracy, faster",
        _CIFAR,
        10,
        36_479_194,
        {"depth": 28, "width": 10},
    ),
    Architecture(
        "speednet",
        "speednet",
        2024,
        _JORDAN,
        "the best accuracy for its compute: whitening, identity start, few layers",
        _CIFAR,
        10,
        1_971_640,
    ),
)

ARCHITECTURES: dict[str, Architecture] = {row.name: row for row in _ROWS}


def names() -> list[str]:
    """Return the names of all architectures, sorted."""
    return sorted(ARCHITECTURES)


def check(name: str) -> None:
    """Check that a name is that of an architecture, without importing Keras.

    Raises:
        ValueError: If no architecture has this name; the nearest is suggested.
    """
    if name not in ARCHITECTURES:
        raise ValueError(
            f"Unknown model{nearest(name, ARCHITECTURES)}; the models are "
            f"{', '.join(names())}. Received: model={name}"
        )


def builder(name: str) -> Callable[..., keras.Model]:
    """Return the builder function of an architecture.

    Args:
        name: One of `names()`.

    Raises:
        ValueError: If no architecture has this name; the nearest is suggested.
    """
    return getattr(_module(name), name)


def known_options(name: str) -> dict[str, Any]:
    """Return an architecture's keyword options and their defaults.

    These are the keyword-only arguments of the function that the module is named
    after, which builds all architectures of the module, and the style options in the
    module's constant `STYLE`.

    Args:
        name: One of `names()`.

    Raises:
        ValueError: If no architecture has this name.
    """
    module = _module(name)
    family = getattr(module, ARCHITECTURES[name].module)
    own = {
        each.name: each.default
        for each in inspect.signature(family).parameters.values()
        if each.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return {**own, **module.STYLE.options()}


def build(
    name: str, input_shape: tuple[int, int, int], num_classes: int, **options: Any
) -> keras.Model:
    """Build an architecture by name.

    Args:
        name: One of `names()`.
        input_shape: (height, width, channels) of the uint8 images.
        num_classes: Number of logits.
        **options: Keyword options of that builder.

    Returns:
        A `keras.Model`: uint8 images (N, H, W, C) -> float32 logits (N, K).

    Raises:
        ValueError: If the name or an option is unknown, or a value is invalid.

    Example:
    ```python
    model = models.build("lenet5", (28, 28, 1), 10, augmentation="mnist")
    ```
    """
    function = builder(name)
    known = known_options(name)
    for option, value in options.items():
        if option not in known:
            raise ValueError(
                f"Unknown option of {name}{nearest(option, known)}; its options "
                f"are {', '.join(sorted(known))}. Received: {option}={value}"
            )
    return function(input_shape, num_classes, **options)


def prepare(name: str, model: keras.Model, images: np.ndarray) -> None:
    """Initialise a model from the training images, if its architecture needs it.

    Such an architecture's module has a function `prepare(model, images)`.

    Args:
        name: One of `names()`.
        model: Model from `build`.
        images: uint8 (N, H, W, C), training images of the model's input size.

    Raises:
        ValueError: If no architecture has this name.
    """
    function = getattr(_module(name), "prepare", None)
    if function is not None:
        function(model, images)


def _module(name: str) -> ModuleType:
    """Return the module that holds an architecture's builder."""
    check(name)
    return importlib.import_module(f"fovea.models.zoo.{ARCHITECTURES[name].module}")
