"""The base class of the augmentation layers."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops


class PerImageLayer(keras.Layer):
    """A layer that changes every image of a batch independently, in training only.

    A subclass implements `augment(images)`, float32 (N, H, W, C) to the same.

    Unlike in Keras' random image layers, `training` defaults to False, as it does in
    Dropout: `model(images)` must not classify distorted images.

    Args:
        seed: Integer, or None for one that follows from `keras.utils.set_random_seed`.
        **kwargs: Arguments of `keras.Layer`, such as `name` and `dtype`.
    """

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the images, changed if `training` is true, in the compute dtype."""
        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        augment = self.augment
        # Compiling these many small operations alone takes a third of the time on CPUs,
        # where models as a whole are faster uncompiled.
        if not tf.executing_eagerly():
            augment = tf.function(augment, jit_compile=True, autograph=False)
        # Coordinates and colours need more digits than a 16-bit float has.
        return ops.cast(augment(ops.cast(images, "float32")), self.compute_dtype)

    def augment(self, images: tf.Tensor) -> tf.Tensor:
        """Return the changed images."""
        raise NotImplementedError

    def draw(
        self,
        images: tf.Tensor,
        shape: tuple[int, ...] = (),
        low: float = 0.0,
        high: float = 1.0,
    ) -> tf.Tensor:
        """Return uniform float32 numbers of the given shape for every image."""
        numbers = keras.random.uniform(
            (ops.shape(images)[0], *shape),
            low,
            high,
            dtype="float32",
            seed=self.generator,
        )
        return computed_once(numbers)

    def draw_integers(
        self, images: tf.Tensor, shape: tuple[int, ...], low: int, high: int
    ) -> tf.Tensor:
        """Return uniform integers, low to high - 1, for every image."""
        # A float32 below 1 times a span below 2**24 stays below that span.
        numbers = self.draw(images, shape) * (high - low)
        return ops.cast(ops.floor(numbers), "int32") + low

    # Keras does not save seed generators: a resumed run would repeat the numbers.

    def save_own_variables(self, store: Any) -> None:
        """Save the random state."""
        store["random_state"] = ops.convert_to_numpy(self.generator.state)

    def load_own_variables(self, store: Any) -> None:
        """Load the random state."""
        self.generator.state.assign(store["random_state"][...])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output, which is that of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {**super().get_config(), "seed": self.seed}


def computed_once(x: tf.Tensor) -> tf.Tensor:
    """Return `x`, (N, ...), in such a way that XLA for CPUs computes it only once.

    XLA would fuse the computation into every operation that uses the result, and repeat
    the arithmetic of a random generator at each pixel (20 times slower). It does not
    fuse across a gather.
    """
    return ops.take(x, ops.arange(ops.shape(x)[0]), axis=0)
