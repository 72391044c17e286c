"""These tests run networks."""

from tests import tensorflow_start

tensorflow_start.start()
