"""What the augmentation layers share."""

import keras
import tensorflow as tf
from keras import ops


class PerImageLayer(keras.Layer):
    """A layer that varies every image of a batch on its own, in training only.

    A subclass implements `augment(images)`, float32 (N, H, W, C) to the same.

    Unlike Keras' random image layers, `training` defaults to False, as it does for
    Dropout: `model(images)` must not answer about distorted images.

    Args:
        seed: Integer, or None for one that `keras.utils.set_random_seed` decides.
        **kwargs: Of `keras.Layer`, such as `name` and `dtype`.
    """

    def __init__(self, *, seed: "int | None" = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        augment = self.augment
        # Many small operations: compiled on their own they take a third of the time
        # on CPUs, where models as a whole are faster uncompiled.
        if not tf.executing_eagerly():
            augment = tf.function(augment, jit_compile=True, autograph=False)
        # Coordinates and colours need more digits than a 16-bit float has.
        return ops.cast(augment(ops.cast(images, "float32")), self.compute_dtype)

    def augment(self, images):
        """Return the varied images."""
        raise NotImplementedError

    def draw(self, images, shape: tuple[int, ...] = (), low=0.0, high=1.0):
        """Return uniform float32 numbers of the given shape for every image."""
        numbers = keras.random.uniform(
            (ops.shape(images)[0], *shape),
            low,
            high,
            dtype="float32",
            seed=self.generator,
        )
        return computed_once(numbers)

    def draw_integers(self, images, shape: tuple[int, ...], low: int, high: int):
        """Return uniform integers, low to high - 1, for every image."""
        # A float32 below 1 times a span below 2**24 stays below that span.
        numbers = self.draw(images, shape) * (high - low)
        return ops.cast(ops.floor(numbers), "int32") + low

    # Keras does not save seed generators: a resumed run would draw the same again.

    def save_own_variables(self, store):
        store["random_state"] = ops.convert_to_numpy(self.generator.state)

    def load_own_variables(self, store):
        self.generator.state.assign(store["random_state"][...])

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def computed_once(x):
    """Return `x`, (N, ...), so that XLA for CPUs does not compute it repeatedly.

    It would merge the computation into every one that uses the result, and repeat a
    random generator's arithmetic at each pixel (20 times slower). It does not look
    through a look-up.
    """
    return ops.take(x, ops.arange(ops.shape(x)[0]), axis=0)
