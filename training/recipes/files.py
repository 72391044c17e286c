"""Recipes in TOML files: `recipes/MODEL-DATASET.toml` is the default for a pair.

`MODEL-DATASET-NAME.toml` is another recipe for it. Hyper-parameters are under [train],
the architecture's options under [options], measured results under [[result]].
"""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fovea.models.validation import nearest
from fovea.training.recipes.schema import (
    PLAIN,
    PLAIN_LEARNING_RATE,
    Recipe,
    check_option,
    keys,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DIRECTORY = Path(__file__).parent


@dataclass(frozen=True)
class RecipeFile:
    """A recipe file.

    Attributes:
        path: The file.
        name: Its name for `--recipe`; "" for the default recipe of its pair.
        model: The architecture it is for; "" in a user's file for any architecture.
        dataset: The data set it is for; "" likewise.
        description: One line.
        source: The origin of its values.
        recipe: The hyper-parameters.
        results: Measured results: dicts with `command`, `accuracy` (on the test split,
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


def load(model: str, dataset: str, name: str | None = None) -> Recipe:
    """Return the recipe for a pair of model and data set.

    Args:
        model: A name in `models.names()`.
        dataset: A data set's name.
        name: None for the pair's default recipe, or, if it has none, for a general
            one; the name of another recipe of this pair; or the path of a TOML file,
            which may leave out `model` and `dataset`.

    Raises:
        ValueError: If there is no such recipe, it is for another pair, or a key or
            value in it is unusable.
    """
    if name is None:
        path = _path(model, dataset)
        if not path.exists():
            if model in PLAIN:
                return Recipe(learning_rate=PLAIN_LEARNING_RATE)
            return Recipe()
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
                f"Unknown recipe{nearest(name, known)}; beside a file's path, "
                f"the recipes of {model} on {dataset} are "
                f"{', '.join(filter(None, known)) or 'only the default one'}. "
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
        check_option(option, model, str(path))
    return file.recipe


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
    for key, table in (("train", dict), ("options", dict), ("result", list)):
        if not isinstance(values.get(key, table()), table):
            raise ValueError(
                f"{key} must be {'[[' if table is list else '['}{key}"
                f"{']]' if table is list else ']'}. Received: {key}={values[key]}"
            )
    train = values.get("train", {})
    _check_keys(train, keys(), "of [train]")
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
    types: dict[str, Any] = {
        "command": str,
        "accuracy": list,
        "seconds": (int, float),
        "hardware": str,
        "flops": (int, float),
    }
    if not isinstance(result, dict):
        raise ValueError(f"result must be [[result]]. Received: result={result}")
    _check_keys(result, types, "of [[result]]")
    for key, value in result.items():
        if not isinstance(value, types[key]) or (
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
                f"Unknown key {where}{nearest(key, known)}; the keys are "
                f"{', '.join(known)}. Received: {key}"
            )


def _path(model: str, dataset: str, name: str = "") -> Path:
    # A data set may be a path itself, for which there is no shipped file.
    parts = [part.replace(os.sep, "_") for part in (model, dataset, name) if part]
    return DIRECTORY / f"{'-'.join(parts)}.toml"
