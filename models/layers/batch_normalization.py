"""Batch normalisation that trains in one pass on CPUs."""

from typing import Any

import keras
import tensorflow as tf

from fovea.models.backend import has_gpu


@keras.saving.register_keras_serializable(package="fovea")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` through TensorFlow's fused operation.

    Keras computes mean, variance, difference, product and their gradients one
    after the other, each a pass over the maps. The fused operation gives the same
    values in one.

    It is used in training, in float32, for maps with channels last and without a
    GPU, where XLA fuses what Keras writes.

    Arguments, input shape and output shape are Keras' layer's.
    """

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any | None = None
    ) -> Any:
        if not (training and self.trainable and mask is None and self._pays(inputs)):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma if self.scale else tf.ones_like(self.moving_mean),
            offset=self.beta if self.center else tf.zeros_like(self.moving_mean),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # It gives the unbiased estimate, which Keras does not average.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        variance = variance * ((count - 1) / count)
        for moving, batch in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs

    def _pays(self, inputs: Any) -> bool:
        return (
            len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.compute_dtype == "float32"
            and inputs.dtype == "float32"
            and not getattr(self, "renorm", False)  # Keras 3.13 and later
            and not self.synchronized
            and not has_gpu()
        )
