"""The steps that networks are made of, and the knobs that all of them share.

A builder makes one `Steps` from its keyword options and then reads like its
paper: `conv` is convolution, normalisation and activation; `pool`, `dense`,
`drop` and `logits` are what they say.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import layers

from fovea.models.layers.batch_normalization import BatchNormalization
from fovea.models.layers.conv_2d import Conv2D
from fovea.models.layers.dirac import Dirac
from fovea.models.layers.locally_connected_2d import LocallyConnected2D
from fovea.models.layers.quick_gelu import quick_gelu
from fovea.models.validation import choose, share, whole

ACTIVATIONS = (
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "quick_gelu",
    "swish",
)
POOLINGS = ("max", "average", "strided", "none")
NORMALISATIONS = ("batch", "layer", "group", "none")
PADDINGS = ("valid", "same")
INITIALISERS = (
    "dirac",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "orthogonal",
    "truncated_normal",
)

# Without pooling the first dense layer meets maps of full size. More weights
# than this (0.8 GB in float32) are taken for a mistake.
_MOST_DENSE_WEIGHTS = 200_000_000


@dataclass(frozen=True)
class Steps:
    """The knobs, checked, and the steps that obey them.

    Weight decay in the papers' sense belongs to the optimiser and thus to the
    training recipe; `l1` and `l2` add penalties on the kernels to the loss.

    Attributes:
        activation: One of `ACTIVATIONS`.
        pooling: "max", "average", "strided" (a convolution with the pooling's
            window and stride, as in Springenberg et al. 2015) or "none" (the
            maps keep their size).
        normalisation: "batch" (Ioffe, Szegedy 2015), "group" (Wu, He 2018, with
            about 16 channels in a group), "layer" (one group: over all values
            of an image) or "none". It stands between a layer and its
            activation, whose bias it replaces.
        dropout: Share of activations set to zero in training.
        l1: Factor of the sum of absolute kernel values in the loss.
        l2: Factor of the sum of squared kernel values in the loss.
        padding: "valid" or "same", for all convolutions; None leaves to each
            what its paper gives it.
        stride: Stride of the first convolution.
        initialiser: One of `INITIALISERS`, for all kernels.

    Raises:
        ValueError: If a knob has no such value.
    """

    activation: str = "relu"
    pooling: str = "max"
    normalisation: str = "none"
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    padding: str | None = None
    stride: int = 1
    initialiser: str = "he_normal"

    def __post_init__(self) -> None:
        choose("activation", self.activation, ACTIVATIONS)
        choose("pooling", self.pooling, POOLINGS)
        choose("normalisation", self.normalisation, NORMALISATIONS)
        choose("initialiser", self.initialiser, INITIALISERS)
        if self.padding is not None:
            choose("padding", self.padding, PADDINGS)
        share("dropout", self.dropout)
        for name in ("l1", "l2"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not value >= 0:
                raise ValueError(
                    "A penalty's factor is a number that must not be negative. "
                    f"Received: {name}={value}"
                )
        whole("stride", self.stride)

    @property
    def function(self) -> "str | Callable":
        """The activation as Keras' layers take it."""
        return quick_gelu if self.activation == "quick_gelu" else self.activation

    def conv(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel: int,
        *,
        name: str,
        strides: int = 1,
        padding: str = "same",
        activate: bool = True,
        **options: Any,
    ) -> keras.KerasTensor:
        """Convolve, normalise and (unless `activate=False`) activate.

        Without normalisation this is one layer, `name`; with it there are
        three: `name`, `name_norm`, `name_act`.
        """
        normalised = self.normalisation != "none"
        x = self.convolve(
            x,
            filters,
            kernel,
            name=name,
            strides=strides,
            padding=padding,
            use_bias=not normalised,
            activation=self.function if activate and not normalised else None,
            **options,
        )
        return self._normalise_and_activate(x, name, activate)

    def convolve(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel: int,
        *,
        name: str,
        strides: int = 1,
        padding: str = "same",
        dilation_rate: int = 1,
        **options: Any,
    ) -> keras.KerasTensor:
        """Convolve, and nothing else unless `options` say so."""
        padding = self.padding or padding
        self._check_fits(x, (kernel - 1) * dilation_rate + 1, padding, name)
        return Conv2D(
            filters,
            kernel,
            strides=strides,
            padding=padding,
            dilation_rate=dilation_rate,
            kernel_initializer=self._initialiser(),
            kernel_regularizer=self._regulariser(),
            name=name,
            **options,
        )(x)

    def connect_locally(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel: int,
        *,
        name: str,
        strides: int = 1,
        padding: str = "same",
    ) -> keras.KerasTensor:
        """Do as `conv` does, with weights of its own at each position."""
        padding = self.padding or padding
        self._check_fits(x, kernel, padding, name)
        normalised = self.normalisation != "none"
        x = LocallyConnected2D(
            filters,
            kernel,
            strides=strides,
            padding=padding,
            use_bias=not normalised,
            activation=None if normalised else self.function,
            kernel_initializer=self._initialiser(),
            kernel_regularizer=self._regulariser(),
            name=name,
        )(x)
        return self._normalise_and_activate(x, name)

    def normalise(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        """Normalise over the batch, the image or groups of channels, or not."""
        if self.normalisation == "batch":
            # The papers' frameworks average over about 10 batches, not over
            # Keras' 100, with which short runs judge by stale statistics.
            return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)
        if self.normalisation == "none":
            return x
        groups = 1
        if self.normalisation == "group":
            channels = x.shape[-1]
            groups = max(
                count
                for count in range(1, max(1, channels // 16) + 1)
                if channels % count == 0
            )
        return layers.GroupNormalization(groups, epsilon=1e-5, name=name)(x)

    def activate(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        """Apply the activation as a layer of its own."""
        return layers.Activation(self.function, name=name)(x)

    def pool(
        self,
        x: keras.KerasTensor,
        size: int,
        *,
        name: str,
        strides: int | None = None,
        padding: str = "valid",
    ) -> keras.KerasTensor:
        """Summarise windows of `size` x `size`, every `strides` (default: size)."""
        strides = strides or size
        if self.pooling == "none":
            return x
        self._check_fits(x, size, padding, name)
        if self.pooling == "strided":
            # The pooling's own padding, whatever the convolutions' knob says.
            return replace(self, padding=None).conv(
                x,
                x.shape[-1],
                size,
                strides=strides,
                padding=padding,
                name=name,
            )
        kind = layers.MaxPooling2D if self.pooling == "max" else layers.AveragePooling2D
        return kind(size, strides=strides, padding=padding, name=name)(x)

    def dense(
        self, x: keras.KerasTensor, units: int, *, name: str
    ) -> keras.KerasTensor:
        """Connect fully, normalise and activate."""
        weights = x.shape[-1] * units
        if self.pooling == "none" and weights > _MOST_DENSE_WEIGHTS:
            raise ValueError(
                f"Without pooling the dense layer {name} would have {weights:,} "
                f"weights; at most {_MOST_DENSE_WEIGHTS:,} are built: pool, or use "
                f"smaller images. Received: pooling={self.pooling}"
            )
        normalised = self.normalisation != "none"
        x = layers.Dense(
            units,
            use_bias=not normalised,
            activation=None if normalised else self.function,
            kernel_initializer=self._initialiser(),
            kernel_regularizer=self._regulariser(),
            name=name,
        )(x)
        return self._normalise_and_activate(x, name)

    def drop(
        self, x: keras.KerasTensor, *, name: str, rate: float | None = None
    ) -> keras.KerasTensor:
        """Drop `rate` of the activations (default: the knob's) in training."""
        rate = self.dropout if rate is None else rate
        return layers.Dropout(rate, name=name)(x) if rate else x

    def logits(
        self,
        x: keras.KerasTensor,
        num_classes: int,
        *,
        use_bias: bool = True,
        name: str = "logits",
    ) -> keras.KerasTensor:
        """Connect fully to the classes, in float32 whatever the compute dtype."""
        return layers.Dense(
            num_classes,
            use_bias=use_bias,
            kernel_initializer=self._initialiser(),
            kernel_regularizer=self._regulariser(),
            dtype="float32",
            name=name,
        )(x)

    def _normalise_and_activate(
        self, x: keras.KerasTensor, name: str, activate: bool = True
    ) -> keras.KerasTensor:
        """Finish a layer that, having no normalisation, would be complete."""
        if self.normalisation == "none":
            return x
        x = self.normalise(x, name=f"{name}_norm")
        return self.activate(x, name=f"{name}_act") if activate else x

    def _initialiser(self) -> Any:
        return Dirac() if self.initialiser == "dirac" else self.initialiser

    def _regulariser(self) -> Any:
        if self.l1 or self.l2:
            return keras.regularizers.L1L2(self.l1, self.l2)
        return None

    def _check_fits(
        self, x: keras.KerasTensor, window: int, padding: str, name: str
    ) -> None:
        height, width = x.shape[1:3]
        if padding == "valid" and any(
            size is not None and size < window for size in (height, width)
        ):
            raise ValueError(
                f"The maps have shrunk to {height}x{width} before {name}, whose "
                f"window is {window}x{window}: use larger images, padding=same, a "
                "smaller stride or less pooling. Received: "
                f"padding={self.padding}, stride={self.stride}, pooling={self.pooling}"
            )


def form(
    stem: str | None, input_shape: tuple[int, int, int], *, smallest: int = 64
) -> str:
    """Return which form of an ImageNet network to build: "imagenet" or "cifar".

    Args:
        stem: The builder's option; None goes by the size of the images.
        input_shape: (height, width, channels).
        smallest: Smallest height and width for the ImageNet form.

    Raises:
        ValueError: If there is no such stem or the images are too small for it.
    """
    large = all(isinstance(size, int) and size >= smallest for size in input_shape[:2])
    if stem is None:
        return "imagenet" if large else "cifar"
    choose("stem", stem, ("cifar", "imagenet"))
    if stem == "imagenet" and not large:
        raise ValueError(
            f"The ImageNet form needs images of at least {smallest}x{smallest}; "
            f"{input_shape} suits stem=cifar. Received: stem={stem}"
        )
    return stem
