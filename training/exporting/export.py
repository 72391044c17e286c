"""`fovea export`: write a run's model as a version that a server can load."""

import argparse
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fovea.models import backend
from fovea.training.attribution import explainers
from fovea.training.datasets import load
from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained
from fovea.training.runs.load import load_model


def export(run: Path, repository: Path, *, with_explain: "str | None" = None) -> Path:
    """Export a run as the next version of a model.

    The version is written under a hidden name, flushed to disk and then renamed,
    so that a server watching the directory sees all of it or nothing.

    Args:
        run: A run directory.
        repository: The model's directory, `exported/NAME`; made if missing.
        with_explain: A method of `fovea.training.attribution.explainers`: the version
            has signatures that explain its answers by it.

    Returns:
        The version's directory, `repository/N`.

    Raises:
        ValueError: If `run` is not a run directory, holds no model, or one that cannot
            be explained so.
        OSError: If the repository cannot be written; no version appears then.
    """
    config = runs.read_config(run)
    model = load_model(run)
    # Refused here, if it is, before anything is written.
    how = explainers.explainer(model, with_explain)[1] if with_explain else None

    def write(version: Path) -> None:
        names = config["class_names"]
        write_version(version, repository.name, model, names, with_explain=with_explain)
        write_model_card(version, config, runs.read_metrics(run), how)

    return publish(repository, write)


def publish(repository: Path, write: Callable[[Path], None]) -> Path:
    """Have a version written, and give it the next number when it is whole.

    Args:
        repository: The model's directory; made if missing.
        write: Fills the directory that it is called with.

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
    # TensorFlow reports a full disk as an error of its own kind.
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
    model,
    class_names: "list[str]",
    *,
    with_explain: "str | None" = None,
) -> None:
    """Write SavedModel, labels and warm-up requests into a directory.

    Args:
        version: An existing directory.
        model_name: The name it will be served under.
        model: A Keras model: uint8 images -> logits.
        class_names: A string for each logit.
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
    version: Path, config: dict, metrics: dict, explained_by: "str | None" = None
) -> None:
    """Write assets.extra/model_card.md: what the model is and how well it does.

    Args:
        version: The version's directory.
        config: The run's config.json.
        metrics: The run's metrics.json.
        explained_by: How heat maps are made, if the version has signatures for them.
    """
    height, width, channels = config["input_shape"]
    recipe = config["recipe"]
    # Where the images lay is nothing that should travel with a model.
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
            "Explanations: the signatures whose names begin with `explain` answer "
            "with a heat map, 0 to 1, of what in the image speaks for the class: "
            f"{explained_by}. It shows where the model looks, not whether it is right.",
        ]
    lines += [
        "",
        "Limits: the model answers with one of its classes whatever it is shown, "
        "and knows only images like those it was trained on.",
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
            continue  # another export took that number meanwhile
        runs.flush_directory(repository)
        return version


def _flush(directory: Path) -> None:
    """Have the operating system write a tree to disk before it gets its name."""
    for path in [*directory.rglob("*"), directory]:
        if path.is_dir():
            runs.flush_directory(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a run directory, or pretrained:NAME"
    )
    parser.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="the model's directory, e.g. exported/mnist; its next version is written",
    )
    parser.add_argument(
        "--with-explain",
        nargs="?",
        const=explainers.AUTO,
        choices=(explainers.AUTO, *explainers.METHODS),
        metavar="METHOD",
        help="add signatures that answer with a heat map of what speaks for the class, "
        "and with the first feature maps. METHOD is grad_cam, or integrated_gradients "
        "for networks without convolutions and images of one channel (default: the one "
        "that suits the model); integrated_gradients takes 6 to 7 times as long as a "
        "plain answer for one digit and 35 to 50 times for 32 at once, grad_cam hardly "
        "longer",
    )


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return the exit code."""
    directory = pretrained.locate(args.run)
    runs.read_config(directory)
    backend.prepare(args.debug)
    version = export(directory, args.to, with_explain=args.with_explain)
    model = version.parent.resolve()
    print(f"version {version.name} of {model.name}: {version}")
    print(f"next: fovea serve --model_name {model.name} --model_base_path {model}")
    return 0
