"""Formats of numbers, shapes and windows in tables and diagrams."""

from collections.abc import Iterable, Sequence

from fovea.models.anatomy.parts import LayerAnatomy


def format_count(number: float) -> str:
    """Return a number with three digits, such as 160.6 M."""
    for unit in ("", " K", " M", " G", " T", " P"):
        if number < 999.95 or unit == " P":
            digits = 0 if not unit or number >= 99.95 else 1
            return f"{number:,.{digits}f}{unit}"
        number /= 1000
    raise AssertionError


def format_shape(sizes: Iterable[float]) -> str:
    """Return sizes in the form 28×28×6; a single size is a number."""
    return "×".join(f"{size:g}" for size in sizes)


def format_window(layer: LayerAnatomy) -> str:
    """Return a window as "5×5 s2 p1 d2": kernel, stride, padding, dilation."""
    if not (layer.kernel and layer.stride and layer.padding and layer.dilation):
        return ""
    text = format_shape(layer.kernel)
    if layer.stride != (1, 1):
        text += f" s{format_pair(layer.stride)}"
    if layer.padding != ((0, 0), (0, 0)):
        sides = sorted({side for pair in layer.padding for side in pair})
        text += f" p{'/'.join(map(str, sides))}"
    if layer.dilation != (1, 1):
        text += f" d{format_pair(layer.dilation)}"
    return text


def format_pair(sizes: Sequence[float]) -> str:
    """Return two sizes in the form 2×3; one number if they are equal."""
    return f"{sizes[0]:g}" if sizes[0] == sizes[1] else format_shape(sizes)
