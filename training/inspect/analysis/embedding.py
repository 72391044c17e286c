"""Embed images in a plane, by the similarity of their features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fovea.training.inspect.units.survey import batch_size

if TYPE_CHECKING:
    import keras

# t-SNE's neighbourhood, as in the paper's experiments (40) and scikit-learn (30).
PERPLEXITY = 30
COMPONENTS = 50
LEAST_IMAGES = 8


def penultimate(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the features that the last layer gets.

    Args:
        model: A functional model: uint8 images -> logits.
        images: uint8 (n, height, width, channels).

    Returns:
        float32 (n, features).

    Raises:
        ValueError: If the logits do not come from a fully connected layer.
    """
    import keras

    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    if not dense:
        raise ValueError(
            "The logits must come from a fully connected layer, so that there is a "
            f"penultimate layer. Received: model={model.name}"
        )
    part = keras.Model(model.inputs[0], dense[-1].input)
    features = part.predict(images, batch_size=batch_size(part, images), verbose=0)
    return features.reshape(len(features), -1).astype(np.float32)


def embed(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Embed features in a plane.

    Their 50 principal components, and t-SNE of these: van der Maaten, Hinton,
    "Visualizing Data using t-SNE", JMLR 9, 2008, begun with the first two components
    (Kobak, Berens, "The art of using t-SNE for single-cell transcriptomics", 2019). The
    same features give the same embedding.

    Args:
        features: float32 (n, features), n at least 8.
        seed: Of scikit-learn.

    Returns:
        float32 (n, 2).

    Raises:
        ValueError: If there are fewer points.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    count = len(features)
    if count < LEAST_IMAGES:
        raise ValueError(
            f"An embedding takes at least {LEAST_IMAGES} images. Received: {count}"
        )
    components = min(COMPONENTS, count - 1, features.shape[1])
    if components < 2 or np.ptp(features, axis=0).max() == 0:
        return np.pad(features[:, :2], ((0, 0), (0, max(0, 2 - features.shape[1]))))
    reduced = PCA(components, svd_solver="full").fit_transform(features)
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    # One thread: a fixed order of summation, and no contention on a busy machine.
    with threadpool_limits(1):
        return plane.fit_transform(reduced).astype(np.float32)


def agreement(points: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of points whose nearest neighbour is of the same class."""
    from sklearn.neighbors import NearestNeighbors

    finder = NearestNeighbors(n_neighbors=2).fit(points)
    nearest = finder.kneighbors(points, return_distance=False)[:, 1]
    return float((labels[nearest] == labels).mean())
