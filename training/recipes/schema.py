"""The hyper-parameters of a training run, and their valid values."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fovea.models import registry
from fovea.models.parse_options import parse_options
from fovea.models.validation import nearest
from fovea.training.recipes import fields

# Deep or wide, and without normalisation: at the usual rate they do not learn.
PLAIN = {"nin", "all_cnn_c", "dilated", "alphago_policy", "alexnet"}
PLAIN |= {"vgg11", "vgg13", "vgg16", "vgg19"}
PLAIN_LEARNING_RATE = 3e-4


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images in a step, over all devices together.
        drop_last: Whether to leave out images that do not fill a whole batch.
        optimizer: "sgd" (with Nesterov momentum), "adam", "adamw" or "muon".
        learning_rate: At the schedule's peak.
        momentum: Of sgd, and of muon's convolutions.
        dense_factor: Argument of `fovea.training.loop.optimization.muon.Muon`.
        vector_factor: Argument of `Muon`.
        other_momentum: Argument of `Muon`.
        unit_filters: Argument of `Muon`.
        weight_decay: Share by which a step at learning rate 1 shrinks a kernel;
            decoupled from the gradient, and for kernels only.
        schedule: "constant", "cosine", "linear", "step" or "one_cycle".
        warmup: Epochs of linear warm-up from zero; for one_cycle those of its rising
            half cosine, where 0 means 30 % of all.
        final_learning_rate: Last value of cosine, linear and one_cycle, as a share of
            the peak.
        step_epochs: Epochs at which the step schedule changes.
        step_factor: Factor of the step schedule at each of these epochs.
        clip_norm: Largest global norm of the gradients; 0: no clipping.
        ema: Momentum of the average of weights that is evaluated and exported; 0: none.
        label_smoothing: Share of a label that is distributed over all classes.
        augmentation: Policy of `fovea.models.augmentation`, or "auto" for the data
            set's.
        mixing: "none", "mixup" or "cutmix".
        sizes: Progressive resizing: (epoch, side) pairs; from that epoch, counted
            from 0, on, training images are side x side. Empty: as they are.
        early_stopping: Epochs without a better held-out accuracy after which the run
            ends with the best epoch's model; 0: off.
        validation_split: Share of the training images that is held out.
        test_time_augmentation: Views that `evaluate` averages over: "none", "mirror" or
            "mirror_shift".
        precision: Dtype policy in training, "auto" for the device's default.
        xla: Whether XLA compiles the training step, "auto" for the device's default.
        options: The architecture's own options.
    """

    epochs: int = fields.whole(5, least=1)
    batch_size: int = fields.whole(128, least=1)
    drop_last: bool = fields.switch(False)
    optimizer: str = fields.choice("adam", ("sgd", "adam", "adamw", "muon"))
    learning_rate: float = fields.number(
        2e-3, lambda x: 0 < x < 100, "above 0 and below 100"
    )
    momentum: float = fields.number(0.9, lambda x: 0 <= x < 1, "from 0 to below 1")
    dense_factor: float = fields.number(
        1.0, lambda x: 0 <= x < 1000, "from 0 to below 1000"
    )
    vector_factor: float = fields.number(
        1.0, lambda x: 0 <= x < 1000, "from 0 to below 1000"
    )
    other_momentum: float = fields.number(
        0.85, lambda x: 0 <= x < 1, "from 0 to below 1"
    )
    unit_filters: bool = fields.switch(False)
    weight_decay: float = fields.number(
        0.0, lambda x: 0 <= x < 10, "from 0 to below 10"
    )
    schedule: str = fields.choice(
        "cosine", ("constant", "cosine", "linear", "step", "one_cycle")
    )
    warmup: float = fields.number(0.0, lambda x: 0 <= x < 1e6, "of epochs, 0 or more")
    final_learning_rate: float = fields.number(
        0.0, lambda x: 0 <= x <= 1, "from 0 to 1"
    )
    step_epochs: tuple[int, ...] = fields.numbers("a list of ascending epochs")
    step_factor: float = fields.number(0.1, lambda x: 0 < x < 1, "between 0 and 1")
    clip_norm: float = fields.number(0.0, lambda x: 0 <= x < 1e9, "from 0 on")
    ema: float = fields.number(0.0, lambda x: 0 <= x < 1, "from 0 to below 1")
    label_smoothing: float = fields.number(
        0.0, lambda x: 0 <= x < 1, "from 0 to below 1"
    )
    augmentation: str = "auto"
    mixing: str = fields.choice("none", ("none", "mixup", "cutmix"))
    sizes: tuple[tuple[int, int], ...] = fields.numbers(
        "a list of [epoch, side] with ascending epochs, such as [[0, 24], [6, 32]]",
        each=2,
    )
    early_stopping: int = fields.whole(0)
    validation_split: float = fields.number(
        0.1, lambda x: 0 <= x < 1, "from 0 to below 1"
    )
    test_time_augmentation: str = fields.choice(
        "none", ("none", "mirror", "mirror_shift")
    )
    precision: str = fields.choice(
        "auto", ("auto", "float32", "mixed_bfloat16", "mixed_float16")
    )
    xla: str | bool = fields.choice("auto", ("auto", True, False))
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields.check(self)
        if not isinstance(self.augmentation, str):
            raise ValueError(
                "augmentation must be the name of a policy, or auto. "
                f"Received: augmentation={self.augmentation}"
            )
        if self.warmup >= self.epochs:
            raise ValueError(
                "warmup must leave epochs to train after it. "
                f"Received: warmup={self.warmup}, epochs={self.epochs}"
            )
        if self.schedule == "step" and not self.step_epochs:
            raise ValueError(
                "The step schedule needs step_epochs. Received: step_epochs=[]"
            )
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError(
                "weight_decay belongs to adamw, not to adam. "
                f"Received: weight_decay={self.weight_decay}"
            )
        if self.sizes and (self.sizes[0][0] or not all(side for _, side in self.sizes)):
            raise ValueError(
                "sizes must begin with epoch 0, and no side may be 0. "
                f"Received: sizes={[list(pair) for pair in self.sizes]}"
            )
        if self.early_stopping and not self.validation_split:
            raise ValueError(
                "early_stopping needs held-out images. Received: early_stopping="
                f"{self.early_stopping}, validation_split=0"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict for `from_dict`."""
        values = dataclasses.asdict(self)
        values["step_epochs"] = list(self.step_epochs)
        values["sizes"] = [list(pair) for pair in self.sizes]
        return values


def from_dict(values: dict[str, Any]) -> Recipe:
    """Return the recipe that `Recipe.to_dict` wrote.

    Raises:
        ValueError: If a key is unknown, as in a run of another version.
    """
    known = [*keys(), "options"]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ValueError(
            "The run's recipe has keys that this version does not know: "
            f"{', '.join(unknown)}; resume with the version that started it. "
            f"It knows {', '.join(known)}"
        )
    return Recipe(**values)


def with_settings(recipe: Recipe, model: str, pairs: Iterable[str]) -> Recipe:
    """Return a recipe with some values replaced.

    Args:
        recipe: The recipe to change.
        model: The architecture, whose options may be set as well.
        pairs: Texts such as "epochs=3", "sizes=[[0, 24], [4, 32]]" or
            "activation=relu".

    Raises:
        ValueError: If a key is unknown or a value unusable.
    """
    changes: dict[str, Any] = {}
    options = dict(recipe.options)
    for key, value in parse_options(list(pairs)).items():
        if key in keys():
            changes[key] = value
        else:
            check_option(key, model)
            options[key] = value
    return dataclasses.replace(recipe, **changes, options=options)


def check_option(option: str, model: str, file: str = "") -> None:
    """Refuse a name that is not an option of an architecture.

    Args:
        option: The name.
        model: A name in `models.names()`.
        file: The file with the option, for the message.

    Raises:
        ValueError: If there is no such option; the message lists all keys.
    """
    known = [key for key in registry.known_options(model) if key not in keys()]
    if option not in known:
        raise ValueError(
            f"{f'{file}: ' if file else ''}Unknown setting"
            f"{nearest(option, [*keys(), *known])}; a recipe has "
            f"{', '.join(keys())}, and {model} has the options "
            f"{', '.join(sorted(known))}. Received: {option}"
        )


def keys() -> list[str]:
    """Return the names of all hyper-parameters."""
    return [each.name for each in dataclasses.fields(Recipe) if each.name != "options"]
