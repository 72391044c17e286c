"""The models: Keras functional builders, layers and augmentation.

Nothing here depends on data sets, files or servers. Importing this package imports
neither Keras nor TensorFlow; building a model does.
"""

from fovea.models.registry import build, names

__all__ = ["build", "names"]
