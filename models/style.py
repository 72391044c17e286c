"""The style options that the architectures share, and each one's defaults.

A builder takes these options as `**style` and states its own defaults, and which of
the options it does not take, in one constant of its module:

```python
STYLE = Style(activation="tanh", normalisation="batch", excluded=("padding",))
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from fovea.models.validation import (
    check_choice,
    check_count,
    check_fraction,
    check_penalty,
    nearest,
)

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


@dataclass(frozen=True)
class Style:
    """Values of the style options, the same ones for every architecture.

    A builder's defaults are its paper's. A default of None means that the value
    depends on the size of the images, and is chosen when the network is built.

    Weight decay in the sense of the papers belongs to the optimiser and thus to the
    training recipe; `l1` and `l2` add penalties on the kernels to the loss.

    Attributes:
        activation: One of `ACTIVATIONS`: a name that Keras knows, or "quick_gelu",
            x * sigmoid(1.702 x) (Hendrycks, Gimpel 2016).
        pooling: One of `POOLINGS`: "max", "average", "strided" (a convolution with
            the window and the stride of the pooling; Springenberg et al. 2015) or
            "none" (the feature maps keep their size).
        normalisation: One of `NORMALISATIONS`: "batch" (Ioffe, Szegedy 2015),
            "group" (Wu, He 2018; about 16 channels in a group), "layer" (one
            group: over all values of an image; Ba, Kiros, Hinton 2016) or "none".
            It follows a layer, in place of the layer's bias, and precedes the
            activation.
        dropout: Fraction of the activations that training sets to zero, 0 to
            below 1 (Srivastava et al. 2014).
        l1: Factor of the sum of absolute kernel values in the loss, at least 0.
        l2: Factor of the sum of squared kernel values in the loss, at least 0.
        padding: One of `PADDINGS`, for all convolutions; None for the paper's, which
            may differ between them.
        stride: Stride of the first convolution, at least 1.
        initialiser: One of `INITIALISERS`, for all kernels: a name that Keras
            knows, or "dirac" (`fovea.models.layers.dirac.Dirac`).
        excluded: Names of the options that the architecture does not take.
    """

    activation: str = "relu"
    pooling: str | None = "max"
    normalisation: str | None = "none"
    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    padding: str | None = None
    stride: int | None = 1
    initialiser: str = "he_normal"
    excluded: tuple[str, ...] = field(default=(), repr=False)

    def options(self) -> dict[str, Any]:
        """Return the options that the architecture takes, and their values."""
        names = [each.name for each in fields(self) if each.name != "excluded"]
        return {
            name: getattr(self, name) for name in names if name not in self.excluded
        }

    def updated(self, options: Mapping[str, Any]) -> Style:
        """Return the style with some of its values replaced.

        Args:
            options: New values by name.

        Raises:
            TypeError: If the architecture does not take an option, as with any
                unknown keyword argument.
        """
        known = self.options()
        for name, value in options.items():
            if name not in known:
                raise TypeError(
                    f"Unexpected style option{nearest(name, known)}; those of this "
                    f"architecture are {', '.join(sorted(known))}. "
                    f"Received: {name}={value}"
                )
        return replace(self, **options)

    def completed(self, **values: Any) -> Style:
        """Return the style with `values` for those options that are None."""
        missing = {
            name: value for name, value in values.items() if getattr(self, name) is None
        }
        return replace(self, **missing)

    def check(self) -> None:
        """Check all values.

        Raises:
            ValueError: If an option cannot have its value.
        """
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("pooling", self.pooling, POOLINGS)
        check_choice("normalisation", self.normalisation, NORMALISATIONS)
        check_choice("initialiser", self.initialiser, INITIALISERS)
        if self.padding is not None:
            check_choice("padding", self.padding, PADDINGS)
        check_fraction("dropout", self.dropout)
        check_penalty("l1", self.l1)
        check_penalty("l2", self.l2)
        check_count("stride", self.stride)
