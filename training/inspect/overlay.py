"""A heat map laid over its image."""

import numpy as np

# Perceptually uniform, and in order for any kind of colour vision. Its dark end
# is left out: there the image is seen instead.
COLOURS = "inferno"
DARKEST = 0.35
MOST_OPAQUE = 0.85
# White paper under the heat would outshine it.
GREY = 0.7


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return an image in dim grey under heat, which hides it the more the hotter.

    Args:
        image: uint8 (H, W, 1 or 3).
        heat: (H, W), 0..1: `grad_cam`'s, or `strength` of any other map.

    Returns:
        uint8 (H, W, 3). Where there is no heat it is the image, in dim grey.
    """
    import matplotlib

    heat = np.clip(np.asarray(heat, np.float64), 0, 1)[..., None]
    grey = GREY * image.mean(axis=2, keepdims=True)
    colours = matplotlib.colormaps[COLOURS](DARKEST + (1 - DARKEST) * heat[..., 0])
    opacity = MOST_OPAQUE * heat
    blended = (1 - opacity) * grey + opacity * 255 * colours[..., :3]
    return np.round(blended).astype(np.uint8)


def strength(values: np.ndarray) -> np.ndarray:
    """Return signed shares as heat: what speaks for the class, whatever its unit.

    Args:
        values: (N, H, W) or (N, H, W, C), as from `occlusion` or
            `integrated_gradients`; channels are added.

    Returns:
        float32 (N, H, W), 0..1. The brightest hundredth of each image is 1, since
        single pixels may stand far above all others; what is negative is 0.
    """
    values = np.maximum(values.sum(axis=3) if values.ndim == 4 else values, 0)
    top = np.quantile(values, 0.99, axis=(1, 2), keepdims=True)
    top = np.where(top > 0, top, values.max(axis=(1, 2), keepdims=True))
    scaled = np.divide(values, top, out=np.zeros_like(values), where=top > 0)
    return np.minimum(scaled, 1).astype(np.float32)
