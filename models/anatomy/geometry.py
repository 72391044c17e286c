"""The connectivity of Keras layers: which input units an output unit depends on.

`connectivity` supports Keras' image layers, those of the project, and the operations of
`keras.ops` that functional models use. It goes by the class that defines the layer's
`call`, so that a subclass that overrides `call` is not mistaken for its parent. All
other layers are UNKNOWN.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fovea.models.anatomy.arithmetic import same_padding
from fovea.models.anatomy.receptive_field import (
    AxisConnectivity,
    gather,
    interpolation,
    transposed_window,
    window,
)

POINTWISE = "pointwise"  # each unit is connected to the unit at the same position
GLOBAL = "global"  # each unit is connected to all units
CONCATENATED = "concatenated"  # several inputs along one spatial axis
UNKNOWN = "unknown"

WINDOWS = {
    "Conv2D",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "LocallyConnected2D",
    "MaxPooling2D",
    "AveragePooling2D",
}
INACTIVE = {  # at inference: the input itself
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout2D",
}
VIEWS = {"Flatten", "Reshape"}  # neither arithmetic nor memory
WHOLE = {
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalMaxPooling2D",
    "Permute",
    "RepeatVector",
    "SpatialTransformer",  # its connections depend on the image
}
STATISTICS = {  # statistics over the map, no kernel
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
}
ELEMENTWISE = {
    "Activation",
    "BatchNormalization",
    "ELU",
    "LeakyReLU",
    "LocalResponseNormalization",
    "Bias",
    "Normalization",
    "PReLU",
    "ReLU",
    "Rescaling",
    "Add",
    "Average",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    # keras.ops, and the operators + - * / on symbolic tensors
    "Absolute",
    "Abs",
    "Cast",
    "Clip",
    "Divide",
    "Elu",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Log",
    "Negative",
    "Power",
    "Relu",
    "Relu6",
    "Selu",
    "Sigmoid",
    "Silu",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Square",
    "Tanh",
    "TrueDivide",
}


@dataclass(frozen=True)
class Connectivity:
    """Connections of the units of one call of a layer.

    Args:
        pattern: Connectivity along the height and along the width, or one of POINTWISE,
            GLOBAL, CONCATENATED, UNKNOWN.
        kernel: (height, width) of a sliding window, or None.
        stride: (height, width) of it, or None.
        dilation: (height, width) of it, or None.
        padding: ((top, bottom), (left, right)) of it, or None.
        axis: Axis of CONCATENATED inputs, 0 for the height, 1 for the width.
    """

    pattern: tuple[AxisConnectivity, AxisConnectivity] | str
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    dilation: tuple[int, int] | None = None
    padding: tuple[tuple[int, int], tuple[int, int]] | None = None
    axis: int = 0


# Further layers and operations, each with its own case in `connectivity`.
SPECIAL = {
    "Concatenate",
    "Conv2DTranspose",
    "Cropping2D",
    "Dense",
    "GetItem",
    "IdentityShortcut",
    "Max",
    "Mean",
    "Min",
    "Pad",
    "Resizing",
    "Softmax",
    "Sum",
    "UnitNormalization",
    "UpSampling2D",
    "ZeroPadding2D",
}
KNOWN = WINDOWS | INACTIVE | VIEWS | WHOLE | STATISTICS | ELEMENTWISE | SPECIAL


def known_class(operation: Any) -> str:
    """Return the name of the known class that `operation` behaves as, or "".

    The class is one of Keras or of this package; a subclass counts as its parent unless
    it overrides `call`.
    """
    for cls in type(operation).__mro__:
        supported = cls.__module__.split(".")[0] in ("keras", "fovea")
        same = type(operation).call is getattr(cls, "call", None)
        if supported and same and cls.__name__ in KNOWN:
            return cls.__name__
    return ""


def is_augmentation(operation: Any) -> bool:
    """Return whether a layer changes images in training only."""
    module = type(operation).__module__
    if module.startswith("fovea.models.augment"):
        return True
    random = type(operation).__name__.startswith(
        ("Random", "RandAugment", "AugMix", "MixUp", "CutMix")
    )
    return random and ".preprocessing.image_preprocessing." in module


def connectivity(
    operation: Any, arguments: Any, inputs: list[Any], output: Any
) -> Connectivity:
    """Return the connectivity of one call of a layer or operation.

    Args:
        operation: Keras layer or operation.
        arguments: Symbolic arguments of the call.
        inputs: Shapes of its input tensors, batch axis included.
        output: Shape of its output tensor.
    """
    kind = known_class(operation)
    if getattr(operation, "data_format", None) == "channels_first":
        return Connectivity(UNKNOWN)
    if len(output) != 4 or any(len(shape) != 4 for shape in inputs):
        return _connect_vectors(kind, operation, inputs, output)
    sizes, outputs = inputs[0][1:3], output[1:3]
    if is_augmentation(operation):
        return Connectivity(POINTWISE if sizes == outputs else UNKNOWN)
    if kind in WINDOWS:
        return _sliding(operation, sizes, outputs)
    if kind == "Conv2DTranspose":
        return _transposed(operation, sizes, outputs)
    if kind in WHOLE:
        return Connectivity(GLOBAL)
    if kind == "Reshape":
        return Connectivity(POINTWISE if sizes == outputs else GLOBAL)
    if kind in INACTIVE | ELEMENTWISE | STATISTICS or kind == "Dense":
        return Connectivity(POINTWISE)
    if kind == "Softmax":
        axis = operation.axis
        return Connectivity(POINTWISE if axis in (-1, 3) else GLOBAL)
    if kind == "UnitNormalization":
        return Connectivity(POINTWISE if operation.axis in (-1, 3) else GLOBAL)
    if kind == "Concatenate":
        axis = operation.axis % 4
        return (
            Connectivity(POINTWISE)
            if axis == 3
            else Connectivity(CONCATENATED, axis=axis - 1)
        )
    if kind in ("Mean", "Max", "Min", "Sum"):  # keras.ops over axes, kept
        axis = operation.axis
        axes = {a % 4 for a in ([axis] if isinstance(axis, int) else axis or [1, 2])}
        return Connectivity(POINTWISE if axes == {3} else GLOBAL)
    pattern = _copying(kind, operation, arguments, sizes, outputs)
    return Connectivity(pattern or UNKNOWN)


def _connect_vectors(
    kind: str, operation: Any, inputs: list[Any], output: Any
) -> Connectivity:
    """Return the connectivity to, from or between tensors that are not maps."""
    return Connectivity(GLOBAL if kind or is_augmentation(operation) else UNKNOWN)


def _sliding(layer: Any, sizes: Any, outputs: Any) -> Connectivity:
    kernel = _pair(getattr(layer, "kernel_size", None) or layer.pool_size)
    stride = _pair(layer.strides)
    dilation = _pair(getattr(layer, "dilation_rate", 1))
    padding = _padding(layer.padding, sizes, kernel, stride, dilation)
    height, width = (
        window(sizes[a], outputs[a], kernel[a], stride[a], dilation[a], padding[a][0])
        for a in (0, 1)
    )
    return Connectivity((height, width), kernel, stride, dilation, padding)


def _pair(sizes: Any) -> tuple[int, int]:
    return (sizes, sizes) if isinstance(sizes, int) else tuple(sizes)


def _transposed(layer: Any, sizes: Any, outputs: Any) -> Connectivity:
    # TensorFlow defines it as the gradient of the convolution from `outputs` to
    # `sizes`, and its padding is that of this convolution.
    kernel, stride, dilation = layer.kernel_size, layer.strides, layer.dilation_rate
    padding = _padding(layer.padding, outputs, kernel, stride, dilation)
    height, width = (
        transposed_window(
            sizes[a], outputs[a], kernel[a], stride[a], dilation[a], padding[a][0]
        )
        for a in (0, 1)
    )
    return Connectivity((height, width), kernel, stride, dilation, padding)


def _padding(padding: str, sizes: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    if padding == "valid":
        return ((0, 0), (0, 0))
    return tuple(
        same_padding(sizes[a], kernel[a], stride[a], dilation[a]) for a in (0, 1)
    )


def _copying(
    kind: str, operation: Any, arguments: Any, sizes: Any, outputs: Any
) -> tuple[AxisConnectivity, AxisConnectivity] | None:
    if kind == "ZeroPadding2D":
        return _both_axes(_padded, sizes, operation.padding)
    if kind == "Cropping2D":
        return _both_axes(_cropped, sizes, operation.cropping)
    if kind == "UpSampling2D":
        if operation.interpolation == "nearest":
            return _both_axes(_repeated, sizes, operation.size)
        if operation.interpolation == "bilinear":
            return _both_axes(interpolation, sizes, outputs)
    if kind == "Resizing":
        kept = operation.crop_to_aspect_ratio or operation.pad_to_aspect_ratio
        if not kept and operation.interpolation == "bilinear":
            return _both_axes(interpolation, sizes, outputs)
    if kind == "IdentityShortcut":
        return _both_axes(_strided, sizes, _pair(operation.strides))
    if kind == "GetItem":
        key = arguments.args[1] if len(arguments.args) > 1 else arguments.kwargs["key"]
        return _sliced(key, sizes)
    if kind == "Pad" and operation.mode == "constant" and len(operation.pad_width) == 4:
        return _both_axes(_padded, sizes, operation.pad_width[1:3])
    return None


def _both_axes(
    function: Callable[[int, Any], AxisConnectivity], sizes: Any, arguments: Any
) -> tuple[AxisConnectivity, AxisConnectivity]:
    return function(sizes[0], arguments[0]), function(sizes[1], arguments[1])


def _padded(size: int, padding: tuple[int, int]) -> AxisConnectivity:
    index = np.pad(np.arange(size), padding, constant_values=-1)
    return gather(index, size, centre=-padding[0])


def _cropped(size: int, cropping: tuple[int, int]) -> AxisConnectivity:
    return gather(np.arange(cropping[0], size - cropping[1]), size, centre=cropping[0])


def _repeated(size: int, times: int) -> AxisConnectivity:
    index = np.repeat(np.arange(size), times)
    return gather(index, size, Fraction(1, times), Fraction(1 - times, 2 * times))


def _strided(size: int, step: int) -> AxisConnectivity:
    return gather(np.arange(0, size, step), size, step)


def _sliced(key: Any, sizes: Any) -> tuple[AxisConnectivity, AxisConnectivity] | None:
    key = key if isinstance(key, tuple) else (key,)
    if Ellipsis in key:
        place = key.index(Ellipsis)
        key = (
            *key[:place],
            *[slice(None)] * (5 - len(key)),
            *key[place + 1 :],
        )
    key = (*key, *[slice(None)] * (4 - len(key)))
    if len(key) != 4 or not all(isinstance(part, slice) for part in key):
        return None

    axes = []
    for size, part in zip(sizes, key[1:3], strict=True):
        start, _, step = part.indices(size)
        axes.append(gather(np.arange(size)[part], size, step, start))
    return axes[0], axes[1]
