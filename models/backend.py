"""Start Keras on TensorFlow: settings that are read once, when it is imported."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

# Reason for TF_ENABLE_ONEDNN_OPTS: on CPUs without AVX512-VNNI TensorFlow leaves
# oneDNN's convolutions off and falls back to many small matrix products.
ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def prepare(debug: bool = False) -> None:
    """Set the environment and import TensorFlow and Keras.

    What the user has set in the environment wins.

    Args:
        debug: Let TensorFlow's own log through.

    Raises:
        ModuleNotFoundError: If TensorFlow or Keras is not installed.
    """
    for name, value in ENVIRONMENT.items():
        if not (debug and name == "TF_CPP_MIN_LOG_LEVEL"):
            os.environ.setdefault(name, value)
    quiet = contextlib.nullcontext() if debug else _hold_back_stderr()
    with quiet:
        import keras  # noqa: F401  (the import is the work)
        import tensorflow  # noqa: F401


def has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


@contextlib.contextmanager
def _hold_back_stderr() -> Iterator[None]:
    """Discard what native code writes to stderr, unless an exception follows.

    TensorFlow writes about its CPU and about missing GPUs before its log level
    can be set.
    """
    sys.stderr.flush()
    try:
        keep = os.dup(2)
    except OSError:  # no stderr at all, as under some service managers
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(keep, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(keep, 2)
            os.close(keep)
