"""Recipes: every hyper-parameter of a training run, checked; and the files of them.

`recipes/MODEL-DATASET.toml` is the recipe of a pair, `MODEL-DATASET-NAME.toml` another
one for it. A file's hyper-parameters are under [train], those of the architecture
under [options]; each [[result]] says what it reached.
"""

import dataclasses
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models import registry
from models.options import parse_options
from training import fields

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DIRECTORY = Path(__file__).parent / "recipes"
# Deep or wide, and without normalisation: at the usual rate they do not start.
PLAIN = {"nin", "all_cnn_c", "dilated", "alphago_policy", "alexnet"}
PLAIN |= {"vgg11", "vgg13", "vgg16", "vgg19"}
PLAIN_LEARNING_RATE = 3e-4


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images in a step, over all devices together.
        drop_last: Leave out the images that do not fill a whole batch.
        optimizer: "sgd" (with Nesterov momentum), "adam", "adamw" or "muon".
        learning_rate: At the schedule's peak.
        momentum: Of sgd, and of muon's convolutions.
        dense_factor, vector_factor, other_momentum, unit_filters: Of muon, see
            `training.muon`.
        weight_decay: Share of a kernel that a step at learning rate 1 takes away;
            decoupled from the gradient, and kernels only.
        schedule: "constant", "cosine", "linear", "step" or "one_cycle".
        warmup: Epochs in which the learning rate rises from zero, linearly; for
            one_cycle those of its rising half wave, 0 standing for 30 %.
        final_learning_rate: Where cosine, linear and one_cycle end, as a share of
            the peak.
        step_epochs: Where the step schedule steps down.
        step_factor: What the step schedule multiplies by.
        clip_norm: Largest global norm of the gradients; 0: any.
        ema: Momentum of the average of weights that is judged and exported; 0: none.
        label_smoothing: Share of a label that is spread over all classes.
        augmentation: Policy of `models.augmentation`, or "auto" for the data set's.
        mixing: "none", "mixup" or "cutmix".
        sizes: Progressive resizing: (epoch, side) pairs; from that epoch, counted
            from 0, on, training images are side x side. Empty: as they are.
        early_stopping: Epochs without a better held-out accuracy that end the run,
            whose model is then the best epoch's; 0: off.
        validation_split: Share of the training images that is held out.
        test_time_augmentation: What `evaluate` averages over: "none", "mirror" or
            "mirror_shift".
        precision: Of the arithmetic in training, "auto" for the device's.
        xla: Whether XLA compiles the training step, "auto" for the device's habit.
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

    def __post_init__(self):
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
        """Return a JSON-serialisable dict; `Recipe(**d)` is the recipe again."""
        values = dataclasses.asdict(self)
        values["step_epochs"] = list(self.step_epochs)
        values["sizes"] = [list(pair) for pair in self.sizes]
        return values


@dataclass(frozen=True)
class RecipeFile:
    """A recipe as it stands in a file.

    Attributes:
        path: The file.
        name: What `--recipe` calls it; "" for the recipe of its pair.
        model: The architecture it is for; "" in a user's own file that leaves it open.
        dataset: The data set it is for; "" likewise.
        description: One line.
        source: Where its values come from.
        recipe: The hyper-parameters.
        results: What it reached: dicts with `command`, `accuracy` (on the test split,
            a number for each seed), `seconds`, `hardware` and `flops`.
    """

    path: Path
    name: str
    model: str
    dataset: str
    description: str
    source: str
    recipe: Recipe
    results: tuple[dict[str, Any], ...]


def load(model: str, dataset: str, name: "str | None" = None) -> Recipe:
    """Return the recipe for a pair of model and data set.

    Args:
        model: A name in `models.names()`.
        dataset: A data set's name.
        name: None for the pair's recipe, or where it has no file, for one that
            trains any network; the name of another recipe of this pair; or the path
            of a TOML file, which may leave out `model` and `dataset`.

    Raises:
        ValueError: If there is no such recipe, it is for another pair, or a key or
            value in it is unusable.
    """
    if name is None:
        path = _path(model, dataset)
        if not path.exists():
            rate = {"learning_rate": PLAIN_LEARNING_RATE} if model in PLAIN else {}
            return Recipe(**rate)
    elif name.endswith(".toml"):
        path = Path(name).expanduser()
    else:
        path = _path(model, dataset, name)
        if not path.exists():
            pair = (model, dataset)
            known = [
                each.name for each in shipped() if (each.model, each.dataset) == pair
            ]
            raise ValueError(
                f"Unknown recipe{registry.nearest(name, known)}; beside a file's path, "
                f"the recipes of {model} on {dataset} are "
                f"{', '.join(filter(None, known)) or 'only the one without a name'}. "
                f"Received: recipe={name}"
            )
    file = read(path)
    for key, wanted, found in (
        ("model", model, file.model),
        ("dataset", dataset, file.dataset),
    ):
        if found and found != wanted:
            raise ValueError(
                f"{path} is a recipe for another {key}, {found}. "
                f"Received: {key}={wanted}"
            )
    for option in file.recipe.options:
        _check_option(option, model, str(path))
    return file.recipe


def with_settings(recipe: Recipe, model: str, pairs: Iterable[str]) -> Recipe:
    """Return a recipe with some values replaced.

    Args:
        recipe: The one to begin with.
        model: Whose options may be set as well.
        pairs: Texts such as "epochs=3", "sizes=[[0, 24], [4, 32]]" or
            "activation=relu".

    Raises:
        ValueError: If a key is unknown or a value unusable.
    """
    changes: dict[str, Any] = {}
    options = dict(recipe.options)
    for key, value in parse_options(list(pairs)).items():
        if key in _keys():
            changes[key] = value
        else:
            _check_option(key, model)
            options[key] = value
    return dataclasses.replace(recipe, **changes, options=options)


def shipped() -> list[RecipeFile]:
    """Return the recipes that come with the package, by file name."""
    return [read(path) for path in sorted(DIRECTORY.glob("*.toml"))]


def read(path: Path) -> RecipeFile:
    """Read and check a recipe file; the options' names are checked by `load`.

    Raises:
        ValueError: If it cannot be read, or a key or a value in it is unusable; the
            message begins with the file's path.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return _parse(path, values)
    except OSError as error:
        raise ValueError(
            f"The recipe cannot be read: {error.strerror}. Received: recipe={path}"
        ) from error
    except ValueError as error:  # what TOML and UTF-8 raise is one as well
        raise ValueError(f"{path}: {error}") from error


def _parse(path: Path, values: dict[str, Any]) -> RecipeFile:
    texts = ("model", "dataset", "description", "source")
    _check_keys(values, (*texts, "train", "options", "result"), "of a recipe file")
    for key in texts:
        if not isinstance(values.get(key, ""), str):
            raise ValueError(f"{key} must be a string. Received: {key}={values[key]}")
    for key, kind in (("train", dict), ("options", dict), ("result", list)):
        if not isinstance(values.get(key, kind()), kind):
            raise ValueError(
                f"{key} must be {'[[' if kind is list else '['}{key}"
                f"{']]' if kind is list else ']'}. Received: {key}={values[key]}"
            )
    train = values.get("train", {})
    _check_keys(train, _keys(), "of [train]")
    results = values.get("result", [])
    for result in results:
        _check_result(result)
    model, dataset = values.get("model", ""), values.get("dataset", "")
    return RecipeFile(
        path=path,
        name=path.stem.removeprefix(f"{model}-{dataset}").removeprefix("-"),
        **{key: values.get(key, "") for key in texts},
        recipe=Recipe(**train, options=values.get("options", {})),
        results=tuple(results),
    )


def _check_result(result: Any) -> None:
    kinds = {
        "command": str,
        "accuracy": list,
        "seconds": (int, float),
        "hardware": str,
        "flops": (int, float),
    }
    if not isinstance(result, dict):
        raise ValueError(f"result must be [[result]]. Received: result={result}")
    _check_keys(result, kinds, "of [[result]]")
    for key, value in result.items():
        if not isinstance(value, kinds[key]) or (
            key == "accuracy"
            and not all(isinstance(x, float) and 0 <= x <= 1 for x in value)
        ):
            raise ValueError(
                "A result has texts command and hardware, numbers seconds and flops "
                f"and a list of accuracies, 0 to 1. Received: {key}={value}"
            )


def _check_keys(values: Iterable[str], known: Iterable[str], where: str) -> None:
    known = list(known)
    for key in values:
        if key not in known:
            raise ValueError(
                f"Unknown key {where}{registry.nearest(key, known)}; the keys are "
                f"{', '.join(known)}. Received: {key}"
            )


def _check_option(option: str, model: str, file: str = "") -> None:
    known = [key for key in registry.known_options(model) if key not in _keys()]
    if option not in known:
        raise ValueError(
            f"{f'{file}: ' if file else ''}Unknown setting"
            f"{registry.nearest(option, [*_keys(), *known])}; a recipe has "
            f"{', '.join(_keys())}, and {model} has the options "
            f"{', '.join(sorted(known))}. Received: {option}"
        )


def _keys() -> list[str]:
    return [each.name for each in dataclasses.fields(Recipe) if each.name != "options"]


def _path(model: str, dataset: str, name: str = "") -> Path:
    # A data set may be a path itself, which no shipped file is called after.
    parts = [part.replace(os.sep, "_") for part in (model, dataset, name) if part]
    return DIRECTORY / f"{'-'.join(parts)}.toml"
