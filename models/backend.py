"""Import Keras and TensorFlow with the settings that they read on import."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

# On CPUs without AVX512-VNNI, TensorFlow uses oneDNN's convolutions only with
# TF_ENABLE_ONEDNN_OPTS; its own are many small matrix products.
ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def prepare(debug: bool = False) -> None:
    """Set the environment and import TensorFlow and Keras.

    Variables that are already set in the environment are left as they are.

    Args:
        debug: Show TensorFlow's own log.

    Raises:
        ModuleNotFoundError: If TensorFlow or Keras is not installed.
    """
    for name, value in ENVIRONMENT.items():
        if not (debug and name == "TF_CPP_MIN_LOG_LEVEL"):
            os.environ.setdefault(name, value)
    with contextlib.nullcontext() if debug else _without_stderr():
        import keras  # noqa: F401  (imported for its effect)
        import tensorflow  # noqa: F401


def has_gpu() -> bool:
    """Return whether TensorFlow has a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Discard what is written to the file descriptor of stderr.

    If an exception is raised, the output is written after all. On import, TensorFlow
    logs messages about the CPU and about missing GPUs to which its log level does not
    apply.
    """
    sys.stderr.flush()
    try:
        stderr = os.dup(2)
    except OSError:  # stderr is closed, as under some service managers
        yield
        return
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            output.seek(0)
            os.write(2, output.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
