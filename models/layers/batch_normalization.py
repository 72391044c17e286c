"""Batch normalisation through a fused operation, for training on CPUs."""

from typing import Any

import keras
import tensorflow as tf

from fovea.models.backend import has_gpu


@keras.saving.register_keras_serializable(package="fovea")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` through TensorFlow's fused operation.

    Keras computes mean, variance, difference, product and their gradients one after the
    other, in one pass over the feature maps each. The fused operation computes the same
    values in one pass.

    It is used in training, in float32, for feature maps with channels last and without
    a GPU, for which XLA fuses Keras' operations.

    Arguments, input shape and output shape are those of
    `keras.layers.BatchNormalization`.
    """

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any | None = None
    ) -> Any:
        """Normalise `inputs`; in training, also update the moving statistics."""
        fused = training and self.trainable and mask is None
        if not (fused and self._is_faster(inputs)):
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
        # The operation returns the unbiased estimate, Keras averages the biased one.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        variance = variance * ((count - 1) / count)
        for moving, batch in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs

    def _is_faster(self, inputs: Any) -> bool:
        """Return whether the fused operation supports, and speeds up, this call."""
        return (
            len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.compute_dtype == "float32"
            and inputs.dtype == "float32"
            and not getattr(self, "renorm", False)  # Keras 3.13 and later
            and not self.synchronized
            and not has_gpu()
        )
