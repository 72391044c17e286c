"""The building blocks of the networks, in a given style.

A builder makes one `Blocks` from its style and then reads like its paper: `conv` is
convolution, normalisation and activation; `pool`, `dense`, `drop` and `logits` are
what their names state.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
from keras import layers

from fovea.models.layers.batch_normalization import BatchNormalization
from fovea.models.layers.conv_2d import Conv2D
from fovea.models.layers.dirac import Dirac
from fovea.models.layers.locally_connected_2d import LocallyConnected2D
from fovea.models.layers.quick_gelu import quick_gelu
from fovea.models.style import Style

# Without pooling the input of the first dense layer is a map of full size. More
# weights than this (0.8 GB in float32) are taken for a mistake.
_MOST_DENSE_WEIGHTS = 200_000_000


class Blocks:
    """Methods that each add one block to a network, all in the same style.

    Every method takes a Keras tensor `x` and returns one. `name` is the name of the
    layer that does the work; layers that are added to it are called `name_norm`
    (normalisation) and `name_act` (activation).

    Args:
        style: Style of all blocks, without None but for the padding.

    Raises:
        ValueError: If a style option cannot have its value.
    """

    def __init__(self, style: Style) -> None:
        style.check()
        self.style = style

    @property
    def normalised(self) -> bool:
        """Whether layers are followed by a normalisation."""
        return self.style.normalisation != "none"

    @property
    def stride(self) -> int:
        """Stride of the network's first convolution."""
        return self.style.stride or 1

    @property
    def activation(self) -> str | Callable:
        """The activation as Keras' layers take it."""
        name = self.style.activation
        return quick_gelu if name == "quick_gelu" else name

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
        three: `name`, `name_norm`, `name_act`. `options` are further arguments of
        `keras.layers.Conv2D`.
        """
        x = self.convolve(
            x,
            filters,
            kernel,
            name=name,
            strides=strides,
            padding=padding,
            use_bias=not self.normalised,
            activation=self.activation if activate and not self.normalised else None,
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
        """Convolve without normalisation or activation.

        `options` are further arguments of `keras.layers.Conv2D`.
        """
        padding = self.style.padding or padding
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
        """Convolve without sharing weights between positions, normalise, activate."""
        padding = self.style.padding or padding
        self._check_fits(x, kernel, padding, name)
        x = LocallyConnected2D(
            filters,
            kernel,
            strides=strides,
            padding=padding,
            use_bias=not self.normalised,
            activation=None if self.normalised else self.activation,
            kernel_initializer=self._initialiser(),
            kernel_regularizer=self._regulariser(),
            name=name,
        )(x)
        return self._normalise_and_activate(x, name)

    def normalise(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        """Normalise in the way of the style; with "none", return `x` itself."""
        if self.style.normalisation == "batch":
            # The papers' frameworks average the statistics over about 10 batches;
            # with Keras' 100 they are outdated when a short run ends.
            return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)
        if self.style.normalisation == "none":
            return x
        groups = 1
        if self.style.normalisation == "group":
            channels = x.shape[-1]
            groups = max(
                count
                for count in range(1, max(1, channels // 16) + 1)
                if channels % count == 0
            )
        return layers.GroupNormalization(groups, epsilon=1e-5, name=name)(x)

    def activate(self, x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
        """Add the activation as a separate layer."""
        return layers.Activation(self.activation, name=name)(x)

    def pool(
        self,
        x: keras.KerasTensor,
        size: int,
        *,
        name: str,
        strides: int | None = None,
        padding: str = "valid",
    ) -> keras.KerasTensor:
        """Pool windows of `size` x `size` with the given strides (default: `size`)."""
        strides = strides or size
        if self.style.pooling == "none":
            return x
        self._check_fits(x, size, padding, name)
        if self.style.pooling == "strided":
            # The pooling's own padding, whatever that of the convolutions is.
            return Blocks(replace(self.style, padding=None)).conv(
                x,
                x.shape[-1],
                size,
                strides=strides,
                padding=padding,
                name=name,
            )
        pooling = (
            layers.MaxPooling2D
            if self.style.pooling == "max"
            else layers.AveragePooling2D
        )
        return pooling(size, strides=strides, padding=padding, name=name)(x)

    def dense(
        self, x: keras.KerasTensor, units: int, *, name: str
    ) -> keras.KerasTensor:
        """Add a fully connected layer, normalise and activate.

        Raises:
            ValueError: If the layer would have too many weights.
        """
        weights = x.shape[-1] * units
        if self.style.pooling == "none" and weights > _MOST_DENSE_WEIGHTS:
            raise ValueError(
                f"Without pooling the dense layer {name} would have {weights:,} "
                f"weights; at most {_MOST_DENSE_WEIGHTS:,} are built: pool, or use "
                f"smaller images. Received: pooling={self.style.pooling}"
            )
        x = layers.Dense(
            units,
            use_bias=not self.normalised,
            activation=None if self.normalised else self.activation,
            kernel_initializer=self._initialiser(),
            kernel_regularizer=self._regulariser(),
            name=name,
        )(x)
        return self._normalise_and_activate(x, name)

    def drop(
        self, x: keras.KerasTensor, *, name: str, rate: float | None = None
    ) -> keras.KerasTensor:
        """Add dropout with `rate` (default: the style's), unless that is 0."""
        rate = self.style.dropout if rate is None else rate
        return layers.Dropout(rate, name=name)(x) if rate else x

    def logits(
        self,
        x: keras.KerasTensor,
        num_classes: int,
        *,
        use_bias: bool = True,
        name: str = "logits",
    ) -> keras.KerasTensor:
        """Add the fully connected output layer, in float32 with any compute dtype."""
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
        """Add what `conv` and others leave out of a layer if there is normalisation."""
        if not self.normalised:
            return x
        x = self.normalise(x, name=f"{name}_norm")
        return self.activate(x, name=f"{name}_act") if activate else x

    def _initialiser(self) -> Any:
        return Dirac() if self.style.initialiser == "dirac" else self.style.initialiser

    def _regulariser(self) -> Any:
        if self.style.l1 or self.style.l2:
            return keras.regularizers.L1L2(self.style.l1, self.style.l2)
        return None

    def _check_fits(
        self, x: keras.KerasTensor, window: int, padding: str, name: str
    ) -> None:
        """Raise ValueError if a window is larger than the feature map."""
        height, width = x.shape[1:3]
        if padding == "valid" and any(
            size is not None and size < window for size in (height, width)
        ):
            raise ValueError(
                f"The maps have shrunk to {height}x{width} before {name}, whose "
                f"window is {window}x{window}: use larger images, padding=same, a "
                "smaller stride or less pooling. Received: "
                f"padding={self.style.padding}, stride={self.style.stride}, "
                f"pooling={self.style.pooling}"
            )
