"""The most frequently confused classes, with example images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fovea.training.evaluation.evaluate import predict_logits
from fovea.training.evaluation.metrics import compute_metrics, confusions

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Confusion:
    """A pair of classes.

    Args:
        true: Name of the true class.
        predicted: Name of the predicted class.
        images: Number of confusions.
        back: Number of confusions in the other direction.
        examples: Indices of images, the most confident first.
        probabilities: Probability of the predicted class, for each example.
    """

    true: str
    predicted: str
    images: int
    back: int
    examples: tuple[int, ...]
    probabilities: tuple[float, ...]


def confused(
    logits: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    pairs: int = 6,
    examples: int = 8,
) -> list[Confusion]:
    """Return the pairs of classes that are confused most often.

    Args:
        logits: (n, K).
        labels: Integers (n,).
        class_names: K strings.
        pairs: Largest number of pairs.
        examples: Largest number of images for each.

    Raises:
        ValueError: As `fovea.training.evaluation.metrics.compute_metrics`.
    """
    result = compute_metrics(logits, labels, class_names)
    names = list(class_names)
    confidence = probabilities(logits)
    predicted = logits.argmax(axis=1)
    found = []
    for row in confusions(result, pairs):
        true, wrong = names.index(row["true"]), names.index(row["predicted"])
        places = np.flatnonzero((labels == true) & (predicted == wrong))
        places = places[np.argsort(-confidence[places, wrong], kind="stable")][
            :examples
        ]
        found.append(
            Confusion(
                row["true"],
                row["predicted"],
                row["images"],
                result["confusion"][wrong][true],
                tuple(map(int, places)),
                tuple(float(confidence[place, wrong]) for place in places),
            )
        )
    return found


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of logits (n, K), float64."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def predict_probabilities(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return a model's probabilities for images, float64 (n, K)."""
    return probabilities(predict_logits(model, images))
