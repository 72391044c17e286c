"""Activation maximisation: images that a unit responds to strongly.

Erhan, Bengio, Courville, Vincent: "Visualizing Higher-Layer Features of a Deep
Network", 2009, section 3: gradient ascent in the space of images. Simonyan, Vedaldi,
Zisserman: "Deep Inside Convolutional Networks", 2014, section 2: of class scores, with
an L2 penalty. To avoid patterns of single pixels, each step is taken on
the image shifted by up to a pixel at random, and now and then the image is blurred
(Yosinski et al.: "Understanding Neural Networks Through Deep Visualization", 2015,
section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fovea.training.inspect.units.backpropagation import indices, rewired

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

STEPS = 96
# Together they keep an image's root mean square contrast below 100 of 255.
STEP = 4.0  # root mean square of a step's change
DECAY = 0.04  # of the distance from the start, each step
SHIFT = 1  # pixels
BLUR_EVERY = 4


def maximise(
    model: keras.Model,
    layer: str,
    units: Sequence[int],
    places: Sequence[tuple[int, int]],
    *,
    start: float | np.ndarray = 127.5,
    steps: int = STEPS,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximise the responses of units by gradient ascent on images.

    What is maximised is the response before the unit's activation, whose gradient
    never vanishes, unlike that of a ReLU that is off or of a saturated tanh. The same
    seed gives the same images.

    Args:
        model: A functional model: uint8 images -> anything.
        layer: Name of the layer whose output is the response.
        units: n numbers of units.
        places: n pairs (row, column) on the map; not used for a vector.
        start: Value of the first image, or one for each channel, 0 to 255; the images
            decay towards it.
        steps: Number of steps.
        seed: Of the first images' faint noise and of the shifts.

    Returns:
        float32 (n, height, width, channels), 0 to 255; and the responses before and
        after, float32 (n,).
    """
    import tensorflow as tf

    part = rewired(model, layer)
    index = tf.constant(indices(part.output.shape, units, places))
    random = np.random.default_rng(seed)
    shape = (len(units), *part.input_shape[1:])
    plain = np.broadcast_to(np.float32(start), shape)
    noise = random.normal(0, 2, shape).astype(np.float32)
    blur = _blur(shape[-1])

    def responses(images: tf.Tensor) -> tf.Tensor:
        return tf.gather_nd(part(images, training=False), index)

    def step(images: tf.Tensor, shift: tf.Tensor, smooth: bool) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(images)
            response = responses(tf.roll(images, shift, axis=(1, 2)))
        gradient = tape.gradient(response, images)
        size = tf.sqrt(tf.reduce_mean(gradient**2, axis=(1, 2, 3), keepdims=True))
        images = images + STEP * gradient / (size + 1e-12)
        images = plain + (1 - DECAY) * (images - plain)
        if smooth:
            edged = tf.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "SYMMETRIC")
            images = tf.nn.depthwise_conv2d(edged, blur, [1, 1, 1, 1], "VALID")
        return tf.clip_by_value(images, 0, 255)

    image_spec, shift_spec = tf.TensorSpec(shape), tf.TensorSpec([2], tf.int32)
    step_of = {
        smooth: tf.function(step).get_concrete_function(image_spec, shift_spec, smooth)
        for smooth in (False, True)
    }
    images = tf.constant(np.clip(plain + noise, 0, 255))
    before = responses(images).numpy()
    for number in range(steps):
        shift = tf.constant(random.integers(-SHIFT, SHIFT + 1, 2), tf.int32)
        # Not in the last steps, so that the finest strokes remain.
        smooth = number % BLUR_EVERY == 0 and number < steps - BLUR_EVERY
        images = step_of[smooth](images, shift)
    return images.numpy(), before, responses(images).numpy()


def _blur(channels: int) -> np.ndarray:
    line = np.array([1, 2, 1], np.float32) / 4
    return np.tile(np.outer(line, line)[:, :, None, None], (1, 1, channels, 1))
