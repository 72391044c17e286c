"""The results of Classify and Regress requests as JSON."""

from __future__ import annotations

import numpy as np

from fovea.serving.server.inference.classification import Classifications
from fovea.serving.server.rest.encoding.numerals import decimals
from fovea.serving.server.rest.encoding.pretty import indent, quote, to_bytes


def classifications(found: Classifications) -> bytes:
    """Encode classifications: `{"results": [[["label", score], ...], ...]}`.

    Raises:
        ServingError: INTERNAL, a label is not UTF-8.
    """
    rows = []
    for row in found.rows():
        scores = decimals(np.array([score for _, score in row], np.float32))
        pairs = [
            f"[{quote(label)}, {score}]"
            for (label, _), score in zip(row, scores, strict=True)
        ]
        rows.append(f"[{', '.join(pairs)}]")
    return to_bytes(f'{{{indent(1)}"results": [{", ".join(rows)}{indent(1)}]\n}}')


def regressions(values: np.ndarray) -> bytes:
    """Encode float32 numbers: `{"results": [value, ...]}`."""
    return to_bytes(f'{{{indent(1)}"results": [{", ".join(decimals(values))}]\n}}')
