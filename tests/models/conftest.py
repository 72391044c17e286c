"""TensorFlow is started for these tests, which run networks."""

from tests import tensorflow_start

tensorflow_start.start()
