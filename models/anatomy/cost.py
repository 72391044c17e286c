"""The cost of a Keras layer: multiply-adds, and the parameters that it saves.

A convolution saves parameters in two ways: a unit is connected to a small field instead
of the whole image, and all units share one set of weights. `cost` returns, beside the
multiply-adds, the parameters that the same mapping would have without the first (fully
connected) and without only the second (locally connected).
"""

import math
from dataclasses import dataclass
from typing import Any

from fovea.models.anatomy import arithmetic
from fovea.models.anatomy.geometry import is_augmentation, known_class


@dataclass(frozen=True)
class Cost:
    """The cost of one call of a layer on one image.

    Args:
        multiply_adds: Products with weights; None if the layer is of an unknown type.
        fully_connected: Parameters of a layer in which each output is connected to each
            input; None if the layer is not a linear map with weights.
        locally_connected: Parameters of a layer with the same fields without shared
            weights.
    """

    multiply_adds: int | None
    fully_connected: int | None = None
    locally_connected: int | None = None


def cost(operation: Any, inputs: list[Any], output: Any) -> Cost:
    """Return the cost of one call of a layer or operation for one image.

    Normalisation, activation, pooling and resampling count as zero, as in the
    literature: they multiply by no weight, or by one that can be folded into the
    neighbouring layer.

    Args:
        operation: Keras layer or operation.
        inputs: Shapes of its input tensors, batch axis included.
        output: Shape of its output tensor.
    """
    kind = known_class(operation)
    if getattr(operation, "data_format", None) == "channels_first":
        return Cost(None)
    if kind == "Dense":
        return _dense(operation, inputs[0], output)
    if kind == "SeparableConv2D":
        return _separable(operation, inputs[0], output)
    if kind in ("Conv2D", "DepthwiseConv2D", "LocallyConnected2D"):
        return _convolution(operation, kind, inputs[0], output)
    if kind == "Conv2DTranspose":
        return _transposed(operation, inputs[0], output)
    if kind or is_augmentation(operation):
        return Cost(0)
    return Cost(None)


def _dense(layer: Any, source: Any, output: Any) -> Cost:
    positions = math.prod(source[1:-1])  # several on a map: a 1x1 convolution
    channels, units = source[-1], output[-1]
    own = arithmetic.fully_connected_parameters(channels, units, bias=layer.use_bias)
    return Cost(
        positions * arithmetic.fully_connected_multiply_adds(channels, units),
        _fully_connected(layer, source, output),
        positions * own,
    )


def _convolution(layer: Any, kind: str, source: Any, output: Any) -> Cost:
    groups = source[-1] if kind == "DepthwiseConv2D" else getattr(layer, "groups", 1)
    size, kernel = output[1:3], layer.kernel_size
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    channels, filters = source[-1], output[-1]
    return Cost(
        arithmetic.convolution_multiply_adds(
            size, kernel, channels, filters, groups=groups
        ),
        _fully_connected(layer, source, output),
        arithmetic.locally_connected_parameters(
            size, kernel, channels, filters, groups=groups, bias=layer.use_bias
        ),
    )


def _separable(layer: Any, source: Any, output: Any) -> Cost:
    size, channels = output[1:3], source[-1]
    between = channels * layer.depth_multiplier
    depthwise = (size, layer.kernel_size, channels, between)
    pointwise = (size, (1, 1), between, output[-1])
    return Cost(
        arithmetic.convolution_multiply_adds(*depthwise, groups=channels)
        + arithmetic.convolution_multiply_adds(*pointwise),
        _fully_connected(layer, source, output),
        arithmetic.locally_connected_parameters(*depthwise, groups=channels, bias=False)
        + arithmetic.locally_connected_parameters(*pointwise, bias=layer.use_bias),
    )


def _transposed(layer: Any, source: Any, output: Any) -> Cost:
    # Every input unit is multiplied by the whole kernel; products that fall outside the
    # output are computed, and counted, as well.
    products = arithmetic.convolution_multiply_adds(
        source[1:3], layer.kernel_size, source[-1], output[-1]
    )
    biases = math.prod(output[1:]) if layer.use_bias else 0
    return Cost(products, _fully_connected(layer, source, output), products + biases)


def _fully_connected(layer: Any, source: Any, output: Any) -> int:
    """Return the parameters if each output were connected to each input."""
    return arithmetic.fully_connected_parameters(
        math.prod(source[1:]), math.prod(output[1:]), bias=layer.use_bias
    )
