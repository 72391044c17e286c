"""Metrics of a model from its logits, as metrics.json holds them."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

# Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599.
CALIBRATION_BINS = 15
MISTAKES = 24


def compute_metrics(
    logits: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Compute a model's metrics from its logits for labelled images.

    Args:
        logits: (n, K).
        labels: Integers (n,), 0 to K-1.
        class_names: K strings.

    Returns:
        A JSON-serialisable dict:

        images: n.
        accuracy, accuracy_interval: And Wilson's 95 % interval of it.
        loss: Mean cross-entropy in nats.
        brier: Mean squared distance of the probabilities from the truth, 0 to 2.
        top_k: `k` and `accuracy`, whether the true class is among the k most
            probable; k is 5 for more than 5 classes, 2 for 3 to 5, and for 2
            classes there is no such figure.
        macro: Means of `precision`, `recall` and `f1` over the classes that have
            images.
        classes: For each `name`, `precision`, `recall`, `f1`, `support` (images of
            the class) and `predicted` (predictions of the class).
        confusion: K lists of K counts; rows are true, columns predicted.
        calibration: `error`, the expected calibration error over 15 bins of equal
            width, and the `bins` with an image: `low`, `high`, `images`,
            `confidence`, `accuracy`.
        mistakes: The most confident ones: `index` of the image, `true`,
            `predicted`, `probability`.

    Raises:
        ValueError: If there is no image, or a logit is not finite.
    """
    if not len(labels):
        raise ValueError("There must be images to evaluate on. Received: 0 images")
    if not np.isfinite(logits).all():
        raise ValueError(
            "A model's logits must be finite numbers; otherwise its weights are "
            f"unusable. Received: {np.count_nonzero(~np.isfinite(logits)):,} that are "
            "not"
        )
    log_probabilities = _log_softmax(logits.astype(np.float64))
    probabilities = np.exp(log_probabilities)
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    right = predicted == labels
    places = np.arange(len(labels))
    return {
        "images": len(labels),
        "accuracy": float(right.mean()),
        "accuracy_interval": wilson_interval(int(right.sum()), len(right)),
        "loss": float(np.abs(log_probabilities[places, labels]).mean()),
        "brier": float(_brier(probabilities, probabilities[places, labels]).mean()),
        **_top_k(probabilities, labels),
        **_by_class(predicted, labels, class_names),
        "calibration": _calibration(confidence, right),
        "mistakes": [
            {
                "index": int(place),
                "true": class_names[labels[place]],
                "predicted": class_names[predicted[place]],
                "probability": float(confidence[place]),
            }
            for place in _most_confident(confidence, ~right)
        ],
    }


def wilson_interval(right: int, images: int) -> list[float]:
    """Return the 95 % interval of a share: its lower and upper end."""
    z = 1.959963984540054
    share = right / images
    middle = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    spread = (share * (1 - share) / images + (z / (2 * images)) ** 2) ** 0.5
    half = z * spread / (1 + z**2 / images)
    return [max(0.0, middle - half), min(1.0, middle + half)]


def confusions(result: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Return the most frequent confusions.

    Args:
        result: What `compute_metrics` returned.
        count: How many, at most.

    Returns:
        `true`, `predicted`, `images`; the most frequent first.
    """
    names = [row["name"] for row in result["classes"]]
    rows = [
        {"true": names[true], "predicted": names[predicted], "images": images}
        for true, row in enumerate(result["confusion"])
        for predicted, images in enumerate(row)
        if images and true != predicted
    ]
    return sorted(rows, key=lambda row: -row["images"])[:count]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _brier(probabilities: np.ndarray, true_class: np.ndarray) -> np.ndarray:
    """Return the squared distances from the truth, 1 for one class and 0 for others."""
    return np.square(probabilities).sum(axis=1) - 2 * true_class + 1


def _top_k(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    from sklearn.metrics import top_k_accuracy_score

    classes = probabilities.shape[1]
    if classes < 3:
        return {}
    k = 5 if classes > 5 else 2
    every = np.arange(classes)
    with _without_label_warnings():
        share = top_k_accuracy_score(labels, probabilities, k=k, labels=every)
    return {"top_k": {"k": k, "accuracy": float(share)}}


def _by_class(
    predicted: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    every = np.arange(len(class_names))
    with _without_label_warnings():
        confusion = confusion_matrix(labels, predicted, labels=every)
        # A class that is never predicted has precision 0, one without images recall 0.
        columns = precision_recall_fscore_support(
            labels, predicted, labels=every, zero_division=0.0
        )
    rows = [
        {
            "name": name,
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "support": int(support),
            "predicted": int(count),
        }
        for name, precision, recall, f1, support, count in zip(
            class_names, *columns, confusion.sum(axis=0), strict=True
        )
    ]
    present = [row for row in rows if row["support"]]
    return {
        "macro": {
            name: float(np.mean([row[name] for row in present]))
            for name in ("precision", "recall", "f1")
        },
        "classes": rows,
        "confusion": confusion.tolist(),
    }


@contextlib.contextmanager
def _without_label_warnings() -> Iterator[None]:
    """Silence the warning that few integer labels look like a regression target."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes")
        yield


def _calibration(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    # Bins are open on the left: a confidence of exactly 1/15 is in the first.
    numbers = np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1
    numbers = np.clip(numbers, 0, CALIBRATION_BINS - 1)
    bins = [
        {
            "low": float(number / CALIBRATION_BINS),
            "high": float((number + 1) / CALIBRATION_BINS),
            "images": int((numbers == number).sum()),
            "confidence": float(confidence[numbers == number].mean()),
            "accuracy": float(right[numbers == number].mean()),
        }
        for number in np.unique(numbers)
    ]
    error = sum(
        row["images"] / len(right) * abs(row["accuracy"] - row["confidence"])
        for row in bins
    )
    return {"error": float(error), "bins": bins}


def _most_confident(confidence: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    places = np.flatnonzero(chosen)
    return places[np.argsort(-confidence[places], kind="stable")][:MISTAKES]
