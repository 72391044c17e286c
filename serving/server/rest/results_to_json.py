"""The results of Classify and Regress requests as JSON."""

from __future__ import annotations

import numpy as np
from tensorflow_serving.apis import classification_pb2, regression_pb2

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.rest.numerals import decimals
from fovea.serving.server.rest.pretty import indent, quote, to_bytes


def classifications(result: classification_pb2.ClassificationResult) -> bytes:
    """``{"results": [[["label", score], ...], ...]}``.

    Raises:
        ServingError: There is no result.
    """
    if not result.classifications:
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    rows = []
    for row in result.classifications:
        scores = decimals(np.array([entry.score for entry in row.classes], np.float32))
        pairs = [
            f"[{quote(entry.label)}, {score}]"
            for entry, score in zip(row.classes, scores, strict=True)
        ]
        rows.append(f"[{', '.join(pairs)}]")
    return to_bytes(f'{{{indent(1)}"results": [{", ".join(rows)}{indent(1)}]\n}}')


def regressions(result: regression_pb2.RegressionResult) -> bytes:
    """``{"results": [value, ...]}``.

    Raises:
        ServingError: There is no result.
    """
    if not result.regressions:
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    values = np.array([entry.value for entry in result.regressions], np.float32)
    return to_bytes(f'{{{indent(1)}"results": [{", ".join(decimals(values))}]\n}}')
