"""TensorFlow as the project starts it, for the tests that need it."""

import warnings


def start() -> None:
    """Import TensorFlow and Keras, whose own imports warn, before a test would."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fovea.models import backend

        backend.prepare()
