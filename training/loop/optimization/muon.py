"""Muon: momentum whose direction is made orthogonal before each step."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

# Of the polynomial that drives all singular values towards 1; Jordan et al. 2024.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# As in airbench; the five of the paper leave the singular values closer to 1.
_ROUNDS = 3


@keras.saving.register_keras_serializable(package="fovea")
class Muon(keras.optimizers.Optimizer):
    """Orthogonalised momentum for convolutions, Nesterov momentum for the rest.

    Jordan et al.: "Muon: An optimizer for hidden layers in neural networks", 2024.
    A convolution's kernel (h, w, C, K) is treated as the matrix (h * w * C, K): the
    step along its momentum is replaced by the nearest matrix with orthogonal rows
    or columns, so that rare directions are learned as fast as frequent ones.
    `keras.optimizers.Muon` updates convolutions by AdamW.

    All other variables follow their gradients with Nesterov momentum, at a multiple
    of the learning rate, since the length of a Muon step does not depend on the
    gradient's, and theirs does.

    Args:
        learning_rate: Float or schedule: a Muon step's length in each singular
            direction.
        momentum: Momentum of convolutions.
        dense_factor: Multiple of the learning rate for dense kernels.
        vector_factor: Multiple of the learning rate for biases and normalisations.
        other_momentum: Momentum of dense kernels and vectors.
        unit_filters: Scale every convolution, before each step, to filters of
            length 1 on average. Right where a normalisation follows, which makes
            the length meaningless; keeps the steps' relative size constant.
        weight_decay: Every kernel shrinks by learning_rate * weight_decay of itself
            in a step; biases and normalisations do not.

    Raises:
        ValueError: If a momentum is not at least 0 and below 1.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.6,
        dense_factor: float = 1.0,
        vector_factor: float = 1.0,
        other_momentum: float = 0.85,
        unit_filters: bool = False,
        name: str = "muon",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        for label, value in (
            ("momentum", momentum),
            ("other_momentum", other_momentum),
        ):
            if not 0 <= value < 1:
                raise ValueError(
                    f"{label} must be at least 0 and below 1. Received: {label}={value}"
                )
        self.momentum = momentum
        self.dense_factor = dense_factor
        self.vector_factor = vector_factor
        self.other_momentum = other_momentum
        self.unit_filters = unit_filters

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create a momentum for each variable."""
        if self.built:
            return
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(
        self, gradient: Any, variable: keras.Variable, learning_rate: Any
    ) -> None:
        """Update one variable by its gradient."""
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        velocity = self.momentums[self._get_variable_index(variable)]
        convolution = len(variable.shape) == 4
        beta = self.momentum if convolution else self.other_momentum
        self.assign(velocity, velocity * beta + gradient)
        step = gradient + velocity * beta
        if not convolution:
            dense = len(variable.shape) == 2
            factor = self.dense_factor if dense else self.vector_factor
            self.assign_sub(variable, rate * factor * step)
            return
        value = ops.convert_to_tensor(variable)
        if self.unit_filters:
            length = ops.sqrt(ops.sum(ops.square(value)))
            value = value * (float(variable.shape[-1]) ** 0.5 / (length + 1e-7))
        matrix = ops.reshape(step, (-1, variable.shape[-1]))
        step = ops.reshape(orthogonalise(matrix), variable.shape)
        self.assign(variable, value - rate * step)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "dense_factor": self.dense_factor,
            "vector_factor": self.vector_factor,
            "other_momentum": self.other_momentum,
            "unit_filters": self.unit_filters,
        }


def orthogonalise(matrix: Any) -> Any:
    """Return roughly the nearest matrix with orthogonal rows or columns.

    A Newton-Schulz iteration: an odd polynomial applied to the matrix acts on its
    singular values alone.

    Args:
        matrix: (m, n), of any scale.

    Returns:
        (m, n), its singular values about 1.
    """
    a, b, c = _COEFFICIENTS
    rows, columns = matrix.shape
    x = matrix / (ops.sqrt(ops.sum(ops.square(matrix))) + 1e-7)
    if rows > columns:
        x = ops.transpose(x)
    for _ in range(_ROUNDS):
        square = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * square + c * ops.matmul(square, square), x)
    return ops.transpose(x) if rows > columns else x
