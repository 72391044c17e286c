"""Build models without memory for their weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras.src.backend.common import global_state


@contextmanager
def without_weights() -> Iterator[None]:
    """Build models in this context without values for their weights.

    VGG-16 has 138 million parameters. Counting them requires none of their values: in
    this context it is built in 60 ms and without memory for them. Such a model can be
    inspected, but neither trained nor called.

    Example:
    ```python
    with without_weights():
        model = models.build("vgg16", (224, 224, 3), 1000)
    model.count_params()
    ```
    """
    # Keras records weights without a value, to initialise them at the end of the next
    # scope; the records of this scope have to be removed.
    pending = global_state.get_global_attribute("uninitialized_variables", [])
    before = list(pending)
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute("uninitialized_variables", before)
