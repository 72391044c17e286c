"""Numbers, sizes and windows as tables and drawings write them."""

from typing import Any

from fovea.models.anatomy.parts import LayerAnatomy


def short(number: float) -> str:
    """Return a number in three digits, such as 160.6 M."""
    for unit in ("", " K", " M", " G", " T", " P"):
        if number < 999.95 or unit == " P":
            digits = 0 if not unit or number >= 99.95 else 1
            return f"{number:,.{digits}f}{unit}"
        number /= 1000
    raise AssertionError


def times(sizes: Any) -> str:
    """Return sizes such as 28×28×6; one number if there is only one."""
    return "×".join(f"{size:g}" for size in sizes)


def window(layer: LayerAnatomy) -> str:
    """Return a window such as "5×5 s2 p1 d2": kernel, stride, padding, dilation."""
    if not (layer.kernel and layer.stride and layer.padding and layer.dilation):
        return ""
    text = times(layer.kernel)
    if layer.stride != (1, 1):
        text += f" s{pair(layer.stride)}"
    if layer.padding != ((0, 0), (0, 0)):
        sides = sorted({side for pair in layer.padding for side in pair})
        text += f" p{'/'.join(map(str, sides))}"
    if layer.dilation != (1, 1):
        text += f" d{pair(layer.dilation)}"
    return text


def pair(sizes: Any) -> str:
    """Return two sizes such as 2×3; one number if they are equal."""
    return f"{sizes[0]:g}" if sizes[0] == sizes[1] else times(sizes)
