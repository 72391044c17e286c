"""Convert results to the JSON that the page's script reads, pixels as base64."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from fovea.serving.web.inputs import ModelInput
from fovea.serving.web.model_calls import Analysis
from fovea.serving.web.servable import Servable

SHOWN_CLASSES = 5
SHOWN_MAPS = 64


def describe_servable(servable: Servable) -> dict[str, Any]:
    """Return the description of a model."""
    height, width, channels = servable.shape
    return {
        "name": servable.name,
        "version": servable.version,
        "height": height,
        "width": width,
        "grey": channels == 1,
        "classes": len(servable.labels),
        "explains_any_class": "explain_class" in servable.signatures,
    }


def describe_analysis(
    servable: Servable, model_input: ModelInput, analysis: Analysis
) -> dict[str, Any]:
    """Return the analysis of an image, with the most probable classes first."""
    best = np.argsort(-analysis.probabilities, kind="stable")[:SHOWN_CLASSES]
    return {
        "model": describe_servable(servable),
        "classes": [
            {
                "id": int(index),
                "label": _label(servable, int(index)),
                "probability": float(analysis.probabilities[index]),
            }
            for index in best
        ],
        "image": _plane(model_input.pixels),
        "heatmap": None if analysis.heatmap is None else _heatmap(analysis.heatmap),
        "heat_class": _label(servable, analysis.heat_class),
        "maps": None if analysis.maps is None else _maps(analysis.maps, analysis.layer),
        "grpc_ms": analysis.seconds * 1000,
    }


def _label(servable: Servable, index: int) -> str:
    if index < len(servable.labels):
        return servable.labels[index]
    return f"class {index}"


def _plane(values: np.ndarray) -> dict[str, Any]:
    """Pack a uint8 array (height, width, ...) in C order."""
    return {
        "height": values.shape[0],
        "width": values.shape[1],
        "depth": values.shape[2] if values.ndim > 2 else 1,
        "bytes": base64.b64encode(values.tobytes()).decode(),
    }


def _heatmap(heat: np.ndarray) -> dict[str, Any]:
    return _plane((np.clip(heat, 0, 1) * 255).round().astype(np.uint8))


def _maps(maps: np.ndarray, layer: str) -> dict[str, Any]:
    """Pack maps (height, width, channels): 128 is zero, 1 and 255 the extremes."""
    count = maps.shape[2]
    maps = maps[..., :SHOWN_MAPS]
    largest = float(np.abs(maps).max(initial=0.0))
    scaled = maps * (127 / largest if largest > 0 else 0.0)
    return {
        **_plane((scaled.round() + 128).astype(np.uint8)),
        "layer": layer,
        "count": count,
        "largest": largest,
    }
