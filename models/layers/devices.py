"""Where a graph will run, as far as a layer may choose its algorithm by it."""

import tensorflow as tf


def on_cpu() -> bool:
    """Return whether TensorFlow has no accelerator, so that CPU forms pay."""
    return not tf.config.list_physical_devices("GPU")
