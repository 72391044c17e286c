"""Dirac initialisation: convolutions that start as the identity."""

from typing import Any

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="fovea")
class Dirac(keras.initializers.Initializer):
    """Initialise the first filters of a convolution as the identity.

    Filter i is 1 at the kernel's centre in input channel i and 0 elsewhere, for as many
    filters as there are input channels; further filters are uniform with variance 1/(3
    fan_in). A deep stack then passes its input through at the first training step (Yu,
    Koltun 2016, section 3; Jordan 2024, section 3.3). A kernel that is not that of a 2D
    convolution is uniform throughout.

    Args:
        seed: Integer, or None for a random one.

    Example:
    ```python
    layers.Conv2D(64, 3, padding="same", kernel_initializer=Dirac())
    ```
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Return the kernel."""
        kernel = keras.initializers.VarianceScaling(
            1 / 3, mode="fan_in", distribution="uniform", seed=self.seed
        )(shape, dtype=dtype)
        if len(shape) != 4:
            return kernel
        height, width, inputs, filters = shape
        copies = min(inputs, filters)
        identity = np.zeros((height, width, inputs, copies))
        # The centre of a kernel of even size, as "same" padding aligns it.
        identity[(height - 1) // 2, (width - 1) // 2, range(copies), range(copies)] = 1
        identity = keras.ops.cast(identity, kernel.dtype)
        return keras.ops.concatenate([identity, kernel[..., copies:]], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, for saving."""
        return {"seed": self.seed}
