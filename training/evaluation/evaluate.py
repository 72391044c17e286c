"""`fovea evaluate`: judge a run's model on images it was not trained on."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fovea.models import backend
from fovea.training.datasets import load
from fovea.training.evaluation.metrics import judge
from fovea.training.runs import directory as runs
from fovea.training.runs import pretrained
from fovea.training.runs.load import load_model

TEST_TIME_AUGMENTATION = ("none", "mirror", "mirror_shift")
BATCH_SIZE = 500
# Figures that are told with and without test-time augmentation.
AUGMENTED = ("accuracy", "accuracy_interval", "loss")


def evaluate(
    model,
    images: np.ndarray,
    labels: np.ndarray,
    class_names: "Sequence[str] | None" = None,
    *,
    test_time_augmentation: str = "none",
) -> dict:
    """Return how a model does on labelled images.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (n, height, width, channels).
        labels: Integers (n,).
        class_names: A name for each logit. Default: "0", "1", ...
        test_time_augmentation: As `predict_logits` takes it.

    Returns:
        What `fovea.training.evaluation.metrics.judge` makes of the model's answers, as
        a server gives them. With test-time augmentation, `test_time_augmentation` has
        the `policy` and the `accuracy`, `accuracy_interval` and `loss` with it.

    Raises:
        ValueError: If there is no image, an answer is not finite, or there is no
            such test-time augmentation.
    """
    plain, augmented = _predict(model, images, test_time_augmentation, BATCH_SIZE)
    names = class_names or [str(label) for label in range(plain.shape[1])]
    result = judge(plain, labels, names)
    if test_time_augmentation != "none":
        with_it = judge(augmented, labels, names)
        result["test_time_augmentation"] = {
            "policy": test_time_augmentation,
            **{name: with_it[name] for name in AUGMENTED},
        }
    return result


def predict_logits(
    model,
    images: np.ndarray,
    *,
    test_time_augmentation: str = "none",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """Return a model's logits for images.

    Args:
        model: A Keras model: uint8 images -> logits.
        images: uint8 (n, height, width, channels).
        test_time_augmentation: "none"; "mirror": the mean over an image and its
            mirror image; "mirror_shift": half of that, and half of the mean over
            the two shifted by a pixel, up-left and down-right (the scheme of
            airbench, arXiv 2404.00498).
        batch_size: Images that the model is given at once.

    Returns:
        float32 (n, K).

    Raises:
        ValueError: If there is no image, or no such test-time augmentation.
    """
    return _predict(model, images, test_time_augmentation, batch_size)[1]


def _predict(model, images: np.ndarray, policy: str, batch_size: int):
    """Return the logits for the images as they are, and averaged over all views."""
    if policy not in TEST_TIME_AUGMENTATION:
        raise ValueError(
            "The test-time augmentation must be one of "
            f"{', '.join(TEST_TIME_AUGMENTATION)}. "
            f"Received: test_time_augmentation={policy}"
        )
    if not len(images):
        raise ValueError("There must be images to judge by. Received: 0 images")
    plain = None
    total: np.ndarray | float = 0.0
    for weight, view in _views(images, policy):
        logits = model.predict(view, batch_size=batch_size, verbose=0)
        plain = logits if plain is None else plain
        total = total + weight * logits
    return plain, total


def _views(images: np.ndarray, policy: str) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (weight, images), the images as they are first; weights sum to 1."""
    if policy == "none":
        yield 1.0, images
        return
    weight = 0.5 if policy == "mirror" else 0.25
    yield weight, images
    yield weight, images[:, :, ::-1]
    if policy == "mirror_shift":
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
        for shifted in (padded[:, :-2, :-2], padded[:, 2:, 2:]):
            yield weight / 2, shifted
            yield weight / 2, shifted[:, :, ::-1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="a run directory, or pretrained:NAME"
    )
    parser.add_argument(
        "--split",
        choices=("test", "validation"),
        help="judge on the test split or on the training images that were held out "
        "(default: test, if the data set has one)",
    )
    parser.add_argument(
        "--test-time-augmentation",
        choices=TEST_TIME_AUGMENTATION,
        help="average the answers over views of an image (default: the recipe's)",
    )
    parser.add_argument(
        "--dataset", metavar="D", help="where the run's data set is, if it has moved"
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="directory with D.npz (or FOVEA_DATA_DIR)"
    )
    parser.add_argument("--verbose", action="store_true", help="tell of every class")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Carry out the command; return the exit code."""
    directory = pretrained.locate(args.run)
    config = runs.read_config(directory)
    backend.prepare(args.debug)
    from fovea.training.evaluation import table

    model = load_model(directory)
    model.jit_compile = backend.has_gpu()
    dataset = load.load_for(config, args.data_dir, args.dataset)
    split = args.split or ("test" if len(dataset.x_test) else "validation")
    images, labels, files = part(dataset, split, config)
    policy = args.test_time_augmentation or config["recipe"]["test_time_augmentation"]
    result = {
        "dataset": dataset.name,
        "source": dataset.source,
        **evaluate(
            model,
            images,
            labels,
            dataset.class_names,
            test_time_augmentation=policy,
        ),
    }
    for mistake in result["mistakes"]:
        if files:
            mistake["file"] = files[mistake["index"]]
    # What comes with the package is shown, and stays as it is.
    path = None
    if not pretrained.is_name(args.run):
        path = _record(directory, split, result, images)
    if args.json:
        json.dump(result, sys.stdout, indent=2)
        print()
        return 0
    if split == "validation" and not args.split:
        print("The data set has no test split: judged on images held out of training.")
    table.show(config["model"], split, result, args.verbose)
    if path:
        print(f"report: {path}")
    name = load.short_name(dataset.name)
    print(f"next: fovea export {args.run} --to exported/{name}")
    return 0


def _record(run: Path, split: str, result: dict, images: np.ndarray) -> Path:
    """Write what came out into the run directory; return the report's path."""
    from fovea.training.evaluation import mistakes, report

    mistakes.save(run, split, result["mistakes"], images)
    metrics = runs.read_metrics(run)
    metrics[split] = result
    runs.write_json(run / "metrics.json", metrics)
    return report.write(run)


def part(dataset, split: str, config: dict):
    """Return the images, labels and files (or none) that a split has.

    Args:
        dataset: The run's data set, a `fovea.training.datasets.load.Dataset`.
        split: "test", or "validation" for what was held out of training.
        config: The run's config.json.

    Raises:
        ValueError: If there are none.
    """
    if split == "test":
        if not len(dataset.x_test):
            raise ValueError(
                "The data set has no test split; --split validation judges on the "
                f"training images that were held out. Received: dataset={dataset.name}"
            )
        return dataset.x_test, dataset.y_test, dataset.test_files
    share, seed = config["recipe"]["validation_split"], config["seed"]
    trained_from = config.get("training_images", len(dataset.x_train))
    if len(dataset.x_train) != trained_from:
        raise ValueError(
            "Which images were held out can be told only while the data set is the "
            f"one trained on, with {trained_from:,} training images. "
            f"Received: dataset={dataset.name} with {len(dataset.x_train):,}"
        )
    _, places = load.held_out(len(dataset.x_train), share, seed)
    if not len(places):
        raise ValueError(
            "There are no images to judge by: the run held none out of training"
            + ("" if len(dataset.x_test) else ", and the data set has no test split")
            + f". Received: validation_split={share}"
        )
    files = [dataset.train_files[place] for place in places if dataset.train_files]
    return dataset.x_train[places], dataset.y_train[places], files
