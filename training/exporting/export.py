"""Write a run's model as a version that a server can load."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.training.attribution import explainers
from fovea.training.datasets import load
from fovea.training.runs import directory as runs
from fovea.training.runs.load import load_model

if TYPE_CHECKING:
    import keras


def export(run: Path, repository: Path, *, with_explain: str | None = None) -> Path:
    """Export a run as the next version of a model.

    The version is written under a hidden name, flushed to disk and then renamed,
    so that a server watching the directory sees all of it or nothing.

    Args:
        run: A run directory.
        repository: The model's directory, `exported/NAME`; created if missing.
        with_explain: A method of `fovea.training.attribution.explainers`: the version
            gets signatures that explain its predictions with it.

    Returns:
        The version's directory, `repository/N`.

    Raises:
        ValueError: If `run` is not a run directory, holds no model, or its model
            cannot be explained with this method.
        OSError: If the repository cannot be written; no version appears then.
    """
    config = runs.read_config(run)
    model = load_model(run)
    # An unsuitable method is an error here, before anything is written.
    method = explainers.explainer(model, with_explain)[1] if with_explain else None

    def write(version: Path) -> None:
        names = config["class_names"]
        write_version(version, repository.name, model, names, with_explain=with_explain)
        write_model_card(version, config, runs.read_metrics(run), method)

    return publish(repository, write)


def publish(repository: Path, write: Callable[[Path], None]) -> Path:
    """Write a version and give it the next number once it is complete.

    Args:
        repository: The model's directory; created if missing.
        write: Writes the version into the directory that it is called with.

    Returns:
        The version's directory, `repository/N`.

    Raises:
        OSError: If something cannot be written; no version appears then.
    """
    new = not repository.exists()
    repository.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".exporting-", dir=repository))
    try:
        write(partial)
        _flush(partial)
        return _rename(partial, repository)
    # TensorFlow reports a full disk as an error type of its own.
    except Exception as error:
        if isinstance(error, OSError):
            raise
        raise OSError(
            f"The version could not be written to {repository}: "
            f"{' '.join(str(error).split())}"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if new and not any(repository.iterdir()):
            repository.rmdir()


def write_version(
    version: Path,
    model_name: str,
    model: keras.Model,
    class_names: list[str],
    *,
    with_explain: str | None = None,
) -> None:
    """Write SavedModel, labels and warm-up requests into a directory.

    Args:
        version: An existing directory.
        model_name: The name that the model will be served under.
        model: A Keras model: uint8 images -> logits.
        class_names: A name for each logit.
        with_explain: See `export`.
    """
    import tensorflow as tf

    from fovea.training.exporting import signatures, warmup

    module, functions = signatures.servable(
        model, class_names, with_explain=with_explain
    )
    with tempfile.TemporaryDirectory() as directory:
        labels = Path(directory) / "labels.txt"
        labels.write_text(
            "".join(f"{name}\n" for name in class_names), encoding="utf-8"
        )
        module.labels = tf.saved_model.Asset(str(labels))
        tf.saved_model.save(module, str(version), signatures=functions)
    if "classify" in functions:
        # tf.saved_model.save calls every signature a prediction.
        updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(
            str(version)
        )
        updater.replace_method_name("classify", signatures.CLASSIFY_METHOD)
        updater.save()
    image = np.zeros(model.input_shape[1:], np.uint8)
    with_maps = "feature_maps" in functions
    warmup.write(
        version, model_name, image, with_explain=bool(with_explain), with_maps=with_maps
    )


def write_model_card(
    version: Path,
    config: dict[str, Any],
    metrics: dict[str, Any],
    explained_by: str | None = None,
) -> None:
    """Write assets.extra/model_card.md: what the model is and how well it does.

    Args:
        version: The version's directory.
        config: The run's config.json.
        metrics: The run's metrics.json.
        explained_by: How heat maps are computed, if the version has signatures for
            them.
    """
    height, width, channels = config["input_shape"]
    recipe = config["recipe"]
    # The path of the images is private: it must not be published with the model.
    dataset = load.short_name(config["dataset"])
    lines = [
        "---",
        "pipeline_tag: image-classification",
        "library_name: keras",
        f"model: {config['model']}",
        f"dataset: {dataset}",
    ]
    if "test" in metrics:
        lines.append(f"test_accuracy: {metrics['test']['accuracy']:.4f}")
    lines += [
        "---",
        "",
        f"# {config['model']} trained on {dataset}",
        "",
        f"Input: {height} x {width} images with {channels} channel(s), uint8.",
        f"Classes: {', '.join(config['class_names'])}.",
        "",
        f"Trained for {metrics.get('epochs_completed', 0)} epochs with batches of "
        f"{recipe['batch_size']}, {recipe['optimizer']} at {recipe['learning_rate']}, "
        f"augmentation policy `{recipe['augmentation']}`, seed {config['seed']}.",
        "",
    ]
    for name, title in (("validation", "Held-out training"), ("test", "Test")):
        if name in metrics:
            figures = metrics[name]
            lines.append(
                f"{title} images: {figures['images']:,}; accuracy "
                f"{figures['accuracy']:.4f}, cross-entropy {figures['loss']:.4f}."
            )
    if explained_by:
        lines += [
            "",
            "Explanations: the signatures whose names begin with `explain` return a "
            "heat map, 0 to 1, of the evidence in the image for the class: "
            f"{explained_by}. It shows where the model looks, not whether it is right.",
        ]
    lines += [
        "",
        "Limits: the model predicts one of its classes for every image, and is "
        "reliable only on images similar to those it was trained on.",
        "",
    ]
    card = version / "assets.extra" / "model_card.md"
    card.parent.mkdir(exist_ok=True)
    card.write_text("\n".join(lines), encoding="utf-8")


def next_version(repository: Path) -> int:
    """Return the number after the highest version in a model's directory."""
    taken = (int(path.name) for path in repository.iterdir() if path.name.isdecimal())
    return max(taken, default=0) + 1


def _rename(partial: Path, repository: Path) -> Path:
    partial.chmod(0o755)  # mkdtemp's 0700 would lock out a server's own user
    while True:
        version = repository / str(next_version(repository))
        try:
            partial.rename(version)
        except OSError:
            if not version.exists():
                raise
            continue  # another export has taken that number
        runs.flush_directory(repository)
        return version


def _flush(directory: Path) -> None:
    """Flush a directory tree to disk before it gets its name."""
    for path in [*directory.rglob("*"), directory]:
        if path.is_dir():
            runs.flush_directory(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
