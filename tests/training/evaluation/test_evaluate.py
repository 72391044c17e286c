"""The metrics of a model, and `fovea evaluate`."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fovea import cli
from fovea.training.datasets import load
from fovea.training.evaluation import metrics
from fovea.training.evaluation.evaluate import evaluate, predict_logits
from fovea.training.loop.train import train
from fovea.training.recipes.schema import Recipe
from fovea.training.runs import directory as runs
from fovea.training.runs.load import load_model

NAMES = ("ant", "bee", "cat")


def _logits(*probabilities):
    return np.log(np.array(probabilities))


@pytest.fixture(scope="module")
def evaluated():
    """Five predictions: three right, a bee and a cat classified as an ant."""
    return metrics.compute_metrics(
        _logits(
            (0.7, 0.2, 0.1), (0.6, 0.3, 0.1), (0.1, 0.8, 0.1), (0.9, 0.06, 0.04),
            (0.5, 0.1, 0.4),
        ),
        np.array([0, 1, 1, 0, 2]),
        NAMES,
    )  # fmt: skip


def test_the_metrics_equal_those_computed_by_hand(evaluated):
    assert evaluated["images"] == 5
    assert evaluated["accuracy"] == pytest.approx(3 / 5)
    assert evaluated["top_k"] == {"k": 2, "accuracy": 1.0}
    loss = -np.log([0.7, 0.3, 0.8, 0.9, 0.4]).mean()
    assert evaluated["loss"] == pytest.approx(loss)
    squares = [
        0.3**2 + 0.2**2 + 0.1**2,
        0.6**2 + 0.7**2 + 0.1**2,
        0.1**2 + 0.2**2 + 0.1**2,
        0.1**2 + 0.06**2 + 0.04**2,
        0.5**2 + 0.1**2 + 0.6**2,
    ]
    assert evaluated["brier"] == pytest.approx(np.mean(squares))


def test_every_class_has_its_metrics(evaluated):
    assert evaluated["confusion"] == [[2, 0, 0], [1, 1, 0], [1, 0, 0]]
    ant, bee, cat = evaluated["classes"]
    assert (ant["name"], ant["support"], ant["predicted"]) == ("ant", 2, 4)
    assert (ant["precision"], ant["recall"]) == (0.5, 1.0)
    assert ant["f1"] == pytest.approx(2 / 3)
    assert (bee["precision"], bee["recall"], bee["support"]) == (1.0, 0.5, 2)
    assert (cat["precision"], cat["recall"], cat["f1"]) == (0.0, 0.0, 0.0)
    assert evaluated["macro"]["f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_a_class_without_images_does_not_count_in_the_means():
    result = metrics.compute_metrics(
        _logits((0.8, 0.1, 0.1), (0.2, 0.7, 0.1)), np.array([0, 1]), NAMES
    )
    assert result["classes"][2]["support"] == 0
    assert result["macro"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}


def test_calibration_is_measured_in_fifteen_bins(evaluated):
    bins = evaluated["calibration"]["bins"]
    assert [(row["images"], row["accuracy"]) for row in bins] == [
        (1, 0.0), (1, 0.0), (1, 1.0), (1, 1.0), (1, 1.0)
    ]  # fmt: skip
    for row, confidence in zip(bins, (0.5, 0.6, 0.7, 0.8, 0.9), strict=True):
        assert row["confidence"] == pytest.approx(confidence)
        assert row["low"] < confidence <= row["high"] + 1e-12
        assert row["high"] - row["low"] == pytest.approx(1 / 15)
    gaps = [0.5, 0.6, 0.3, 0.2, 0.1]
    assert evaluated["calibration"]["error"] == pytest.approx(np.mean(gaps))


def test_predictions_of_similar_confidence_share_a_bin():
    logits = _logits(*[(0.75, 0.25)] * 4)
    calibration = metrics.compute_metrics(
        logits, np.array([0, 0, 0, 1]), ("no", "yes")
    )["calibration"]
    (row,) = calibration["bins"]
    assert row["images"] == 4 and row["accuracy"] == 0.75
    assert calibration["error"] == pytest.approx(0, abs=1e-12)


def test_mistakes_are_sorted_by_confidence(evaluated):
    assert evaluated["mistakes"] == [
        {
            "index": 1,
            "true": "bee",
            "predicted": "ant",
            "probability": pytest.approx(0.6),
        },
        {
            "index": 4,
            "true": "cat",
            "predicted": "ant",
            "probability": pytest.approx(0.5),
        },
    ]
    rng = np.random.default_rng(0)
    many = metrics.compute_metrics(
        rng.normal(size=(500, 3)), rng.integers(0, 3, 500), NAMES
    )["mistakes"]
    sureness = [mistake["probability"] for mistake in many]
    assert len(many) == metrics.MISTAKES
    assert sureness == sorted(sureness, reverse=True)


def test_confusions_are_sorted_by_frequency():
    confusion = [[5, 3, 0], [9, 1, 4], [0, 0, 2]]
    result = {"classes": [{"name": name} for name in NAMES], "confusion": confusion}
    assert metrics.confusions(result, 2) == [
        {"true": "bee", "predicted": "ant", "images": 9},
        {"true": "bee", "predicted": "cat", "images": 4},
    ]


@pytest.mark.parametrize("right, images", [(0, 7), (7, 7), (30, 31), (9_405, 10_000)])
def test_the_interval_is_wilson_s(right, images):
    from scipy.stats import binomtest

    low, high = metrics.wilson_interval(right, images)
    wanted = binomtest(right, images).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


@pytest.mark.parametrize("classes, top", [(2, None), (3, 2), (5, 2), (6, 5), (100, 5)])
def test_top_k_depends_on_the_number_of_classes(classes, top):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, classes)), rng.integers(0, classes, 50)
    names = [str(label) for label in range(classes)]
    result = metrics.compute_metrics(logits, labels, names)
    assert result.get("top_k", {}).get("k") == top
    if top:
        best = np.argsort(-logits, axis=1)[:, :top]
        share = np.mean([label in row for label, row in zip(labels, best, strict=True)])
        assert result["top_k"]["accuracy"] == share
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_nan_logits_are_rejected():
    with pytest.raises(ValueError, match=r"must be finite numbers.*Received: 2 that"):
        metrics.compute_metrics(
            np.array([[np.nan, 1.0], [0.0, np.inf]]), np.array([0, 1]), ("a", "b")
        )


@pytest.fixture(scope="module")
def model(run_directory):
    return load_model(run_directory)


def test_no_images_and_unknown_augmentation_are_rejected(model, digits):
    with pytest.raises(ValueError, match="Received: 0 images"):
        evaluate(model, digits.x_test[:0], digits.y_test[:0])
    with pytest.raises(ValueError, match="Received: test_time_augmentation=flip"):
        predict_logits(model, digits.x_test, test_time_augmentation="flip")


@pytest.mark.slow
def test_logits_are_averaged_as_airbench_does(model, digits):
    images = digits.x_test[:40]

    def net(views):
        return model.predict(np.ascontiguousarray(views), verbose=0)

    def mirror(views):
        return 0.5 * net(views) + 0.5 * net(views[:, :, ::-1])

    np.testing.assert_allclose(predict_logits(model, images), net(images), atol=1e-5)
    np.testing.assert_allclose(
        predict_logits(model, images, test_time_augmentation="mirror"),
        mirror(images),
        atol=1e-5,
    )
    padded = np.stack(
        [np.pad(image, ((1, 1), (1, 1), (0, 0)), "reflect") for image in images]
    )
    shifted = [padded[:, 0:28, 0:28], padded[:, 2:30, 2:30]]
    wanted = 0.5 * mirror(images) + 0.5 * np.mean([mirror(x) for x in shifted], axis=0)
    got = predict_logits(model, images, test_time_augmentation="mirror_shift")
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert got.dtype == np.float32 and got.shape == (40, 10)


def test_metrics_without_augmentation_are_kept(model, digits):
    images, labels = digits.x_test, digits.y_test
    plain = evaluate(model, images, labels)
    both = evaluate(model, images, labels, test_time_augmentation="mirror")
    augmented = both.pop("test_time_augmentation")
    assert both.keys() == plain.keys() and both["confusion"] == plain["confusion"]
    assert both["loss"] == pytest.approx(plain["loss"], rel=1e-5)
    logits = predict_logits(model, images, test_time_augmentation="mirror")
    accuracy = (logits.argmax(axis=1) == labels).mean()
    assert augmented["policy"] == "mirror" and augmented["accuracy"] == accuracy
    assert accuracy < plain["accuracy"]  # digits must not be mirrored
    low, high = augmented["accuracy_interval"]
    assert low < accuracy < high


@pytest.fixture
def run(run_directory, tmp_path):
    """A copy of the run, to be evaluated on the thousand digits of its data set."""
    return shutil.copytree(run_directory, tmp_path / "run")


@pytest.mark.slow
def test_the_command_records_prints_and_draws(run, sample, capsys):
    assert cli.main(["evaluate", str(run), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    written = runs.read_metrics(run)
    assert written["test"] == printed
    assert written["status"] == "complete" and "accuracy" in written["validation"]
    assert printed["dataset"] == "mnist_sample" and printed["images"] == 1000
    logits = load_model(run).predict(sample.x_test, verbose=0)
    assert printed["accuracy"] == (logits.argmax(axis=1) == sample.y_test).mean()
    assert printed["mistakes"] and "test_time_augmentation" not in printed
    for mistake in printed["mistakes"]:
        picture = np.asarray(Image.open(run / mistake["picture"]))
        assert np.array_equal(picture, sample.x_test[mistake["index"], ..., 0])
        assert mistake["true"] == str(sample.y_test[mistake["index"]])
        assert mistake["predicted"] == str(logits[mistake["index"]].argmax())
    assert (run / "report.html").is_file()
    assert not [path for path in run.rglob("*") if "partial" in path.name]


@pytest.mark.slow
def test_the_command_overrides_the_recipe_s_augmentation(run, capsys):
    config = runs.read_config(run)
    config["recipe"]["test_time_augmentation"] = "mirror"
    runs.write_json(run / "config.json", config)
    assert cli.main(["evaluate", str(run), "--verbose"]) == 0
    printed = capsys.readouterr().out
    assert "with mirror" in printed and "a served model predicts without" in printed
    assert "precision" in printed and "taken for" in printed
    assert (
        runs.read_metrics(run)["test"]["test_time_augmentation"]["policy"] == "mirror"
    )
    words = ("evaluate", str(run), "--test-time-augmentation", "none")
    assert cli.main(list(words)) == 0
    printed = capsys.readouterr().out
    assert "mirror" not in printed and "precision" not in printed
    assert "test_time_augmentation" not in runs.read_metrics(run)["test"]


@pytest.fixture(scope="module")
def held_out(digits, tmp_path_factory):
    """A run on a user's data set without a test split, and that data set."""
    directory = tmp_path_factory.mktemp("held_out")
    np.savez(directory / "own.npz", x_train=digits.x_train, y_train=digits.y_train)
    dataset = load.load(str(directory / "own.npz"))
    recipe = Recipe(epochs=1, batch_size=32, validation_split=0.2)
    train("softmax_regression", dataset, directory / "run", recipe, seed=5)
    return directory / "run", dataset


@pytest.mark.slow
def test_without_a_test_split_the_held_out_images_are_used(held_out, capsys):
    run, dataset = held_out
    in_training = runs.read_metrics(run)["validation"]
    assert cli.main(["evaluate", str(run)]) == 0
    printed = capsys.readouterr().out
    assert "no test split: evaluated on images held out of training" in printed
    assert "200 held-out training images" in printed
    assert f"next: fovea export {run} --to exported/own" in printed
    written = runs.read_metrics(run)
    assert "test" not in written
    result = written["validation"]
    assert result["images"] == in_training["images"] == 200
    assert result["accuracy"] == pytest.approx(in_training["accuracy"], abs=1e-6)
    assert result["loss"] == pytest.approx(in_training["loss"], rel=1e-4)
    _, places = load.held_out(1000, 0.2, seed=5)
    for mistake in result["mistakes"]:
        assert mistake["true"] == str(dataset.y_train[places[mistake["index"]]])


def _rejected(capsys, *words) -> str:
    assert cli.main(["evaluate", *map(str, words)]) != 0
    error = capsys.readouterr().err
    assert error.startswith("fovea: error: ") and error.count("\n") == 1
    assert "unexpected" not in error
    return error


def test_unusable_runs_and_data_sets_are_rejected(held_out, digits, tmp_path, capsys):
    run, dataset = held_out
    before = (run / "metrics.json").read_bytes()
    printed = _rejected(capsys, run, "--split", "test")
    assert "no test split; --split validation evaluates on" in printed

    grown = tmp_path / "grown.npz"
    np.savez(grown, x_train=digits.x_train[:999], y_train=digits.y_train[:999])
    printed = _rejected(capsys, run, "--dataset", grown)
    assert "with 1,000 training images. Received: dataset=npz:" in printed

    names = np.array([f"digit {label}" for label in range(10)])
    other = tmp_path / "other.npz"
    np.savez(other, x_train=dataset.x_train, y_train=dataset.y_train, class_names=names)
    assert "must have the classes" in _rejected(capsys, run, "--dataset", other)

    none_out = shutil.copytree(run, tmp_path / "none_out")
    config = runs.read_config(run)
    config["recipe"]["validation_split"] = 0
    runs.write_json(none_out / "config.json", config)
    printed = _rejected(capsys, none_out)
    assert "held none out of training, and the data set has no test split" in printed
    assert (run / "metrics.json").read_bytes() == before


def test_a_moved_data_set_is_given_by_its_new_name(held_out, tmp_path):
    run, dataset = held_out
    moved = tmp_path / "moved.npz"
    np.savez(moved, x_train=dataset.x_train, y_train=dataset.y_train)
    assert cli.main(["evaluate", str(run), "--dataset", str(moved)]) == 0
    assert runs.read_metrics(run)["validation"]["dataset"] == f"npz:{moved}"


@pytest.mark.slow
def test_mistakes_name_the_image_files(tmp_path, sample, capsys):
    for part, images, labels in (
        ("train", sample.x_train[:300], sample.y_train[:300]),
        ("test", sample.x_test[:60], sample.y_test[:60]),
    ):
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            folder = tmp_path / "digits" / part / str(label)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(folder / f"{place}.png")
    dataset = load.load(f"folder:{tmp_path / 'digits'}")
    train("softmax_regression", dataset, tmp_path / "run", Recipe(epochs=1))
    capsys.readouterr()
    for split, files in (
        ("test", dataset.test_files),
        ("validation", dataset.train_files),
    ):
        words = ("evaluate", str(tmp_path / "run"), "--split", split, "--json")
        assert cli.main(list(words)) == 0
        mistakes = json.loads(capsys.readouterr().out)["mistakes"]
        assert mistakes
        for mistake in mistakes:
            assert mistake["file"] in files
            shown = Image.open(tmp_path / "run" / mistake["picture"])
            assert np.array_equal(
                np.asarray(shown), np.asarray(Image.open(mistake["file"]))
            )
