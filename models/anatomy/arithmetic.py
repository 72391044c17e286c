"""The arithmetic of convolutional networks: sizes, parameters, multiply-adds.

Pure functions on integers, one for each textbook formula, so that the numbers of `fovea
describe` can be checked by hand. Two conventions hold throughout: a multiply-add is one
product with a weight and its addition, two floating point operations; and biases count
as parameters but not as multiply-adds.
"""

import math
from collections.abc import Iterable


def kernel_extent(kernel: int, dilation: int = 1) -> int:
    """Return the extent of a kernel in pixels: (kernel - 1) * dilation + 1."""
    return (kernel - 1) * dilation + 1


def feature_map_size(
    size: int, kernel: int, padding: int = 0, stride: int = 1, dilation: int = 1
) -> int:
    """Return (size + 2*padding - kernel) / stride + 1, rounded down.

    Args:
        size: Height or width of the input.
        kernel: Height or width of the filter.
        padding: Pixels added on either side.
        stride: Step between two positions of the filter.
        dilation: Distance between neighbouring taps of the filter.

    Raises:
        ValueError: If the filter is larger than the padded input.

    Example:
    ```python
    feature_map_size(32, kernel=5, padding=2)  # 32: "same"
    feature_map_size(224, kernel=7, padding=3, stride=2)  # 112
    ```
    """
    span = size + 2 * padding - kernel_extent(kernel, dilation)
    if span < 0:
        raise ValueError(
            "The kernel must fit into the padded input. "
            f"Received: size={size}, kernel={kernel}, padding={padding}, "
            f"dilation={dilation}"
        )
    return span // stride + 1


def unseen_pixels(
    size: int, kernel: int, padding: int = 0, stride: int = 1, dilation: int = 1
) -> int:
    """Return the remainder of (size + 2*padding - kernel) / stride.

    That many rows or columns at the far edge are beyond the last position of the
    filter: padding at first, and pixels if the remainder exceeds `padding`.
    """
    feature_map_size(size, kernel, padding, stride, dilation)
    return (size + 2 * padding - kernel_extent(kernel, dilation)) % stride


def same_padding(
    size: int, kernel: int, stride: int = 1, dilation: int = 1
) -> tuple[int, int]:
    """Return TensorFlow's "same" padding: (before, after), the odd pixel after.

    It makes the output ceil(size / stride) long, so that every pixel is covered.
    """
    positions = math.ceil(size / stride)
    total = (positions - 1) * stride + kernel_extent(kernel, dilation) - size
    total = max(0, total)
    return total // 2, total - total // 2


def fully_connected_parameters(inputs: int, outputs: int, *, bias: bool = True) -> int:
    """Return the parameters of a fully connected layer."""
    return (inputs + bias) * outputs


def fully_connected_multiply_adds(inputs: int, outputs: int) -> int:
    """Return the multiply-adds of a fully connected layer: one for each weight."""
    return inputs * outputs


def convolution_parameters(
    kernel: tuple[int, int],
    channels: int,
    filters: int,
    *,
    groups: int = 1,
    bias: bool = True,
) -> int:
    """Return the parameters of a convolution, whatever the size of the image.

    Args:
        kernel: (height, width) of the filters.
        channels: Channels of the input; each group of filters is connected to
            `channels / groups` of them.
        filters: Number of filters, which is the number of output channels.
        groups: Groups that channels and filters are divided into; `channels`
            groups make the convolution depthwise.
        bias: Whether every filter has a bias.
    """
    return (math.prod(kernel) * (channels // groups) + bias) * filters


def locally_connected_parameters(
    map_size: tuple[int, int],
    kernel: tuple[int, int],
    channels: int,
    filters: int,
    *,
    groups: int = 1,
    bias: bool = True,
) -> int:
    """Return the parameters of a convolution without shared weights.

    Each of the output's `map_size` positions has separate filters.
    """
    return math.prod(map_size) * convolution_parameters(
        kernel, channels, filters, groups=groups, bias=bias
    )


def convolution_multiply_adds(
    map_size: tuple[int, int],
    kernel: tuple[int, int],
    channels: int,
    filters: int,
    *,
    groups: int = 1,
) -> int:
    """Return the multiply-adds of a convolution, with or without shared weights.

    Each of the output's `map_size` positions uses every weight once. With a map size of
    (1, 1) the result is the cost of one position.
    """
    return math.prod(map_size) * convolution_parameters(
        kernel, channels, filters, groups=groups, bias=False
    )


def receptive_field(windows: Iterable[tuple[int, int, int]]) -> tuple[int, int]:
    """Return the receptive field and the jump of a stack of windows.

    The field r is the number of pixels that one unit depends on, the jump j the
    distance of two neighbouring units in pixels. From layer to layer, starting with
    r = j = 1:

        r' = r + (kernel - 1) * dilation * j
        j' = j * stride

    Args:
        windows: (kernel, stride, dilation) of each layer, first layer first.

    Example:
    ```python
    receptive_field([(3, 1, 1), (3, 1, 1)])  # (5, 1): two 3x3 have a field of 5x5
    ```
    """
    field = jump = 1
    for kernel, stride, dilation in windows:
        field += (kernel_extent(kernel, dilation) - 1) * jump
        jump *= stride
    return field, jump
