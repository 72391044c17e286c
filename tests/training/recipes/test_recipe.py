"""Recipes: invalid values, where they are searched, and overrides."""

import dataclasses
import json

import pytest

from fovea import cli
from fovea.training.recipes import files as recipe_file
from fovea.training.recipes import schema
from fovea.training.recipes.schema import Recipe


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.0),
        ("epochs", True),
        ("batch_size", 0),
        ("drop_last", 1),
        ("optimizer", "adma"),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("momentum", 1.0),
        ("weight_decay", -0.1),
        ("schedule", "cosinus"),
        ("warmup", 5.0),  # of 5 epochs
        ("final_learning_rate", 1.5),
        ("step_epochs", [4, 2]),
        ("clip_norm", float("inf")),
        ("ema", 1.0),
        ("label_smoothing", 1.0),
        ("augmentation", None),
        ("mixing", "blend"),
        ("sizes", [[0, 20], [0, 28]]),
        ("sizes", [[1, 20]]),
        ("sizes", [[0, 0]]),
        ("sizes", [0, 20]),
        ("early_stopping", -1),
        ("validation_split", 1.0),
        ("test_time_augmentation", "flip"),
        ("precision", "float16"),
        ("xla", "yes"),
        ("xla", 1),
    ],
)
def test_an_invalid_value_is_rejected_in_one_sentence(key, value):
    with pytest.raises(ValueError, match=rf"^(?!.*\n){key} .*Received: {key}="):
        Recipe(**{key: value})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schedule": "step"}, "needs step_epochs"),
        ({"optimizer": "adam", "weight_decay": 0.1}, "belongs to adamw"),
        ({"early_stopping": 2, "validation_split": 0.0}, "needs held-out images"),
    ],
)
def test_incompatible_values_are_rejected(values, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**values)


def test_a_recipe_is_restored_from_json():
    one = Recipe(
        epochs=9,
        sizes=[[0, 20], [4, 28]],
        schedule="step",
        step_epochs=[3, 6],
        xla=False,
        options={"activation": "relu"},
    )
    again = schema.from_dict(json.loads(json.dumps(one.to_dict())))
    assert again == one and again.sizes == ((0, 20), (4, 28))


def test_settings_go_to_the_recipe_or_to_the_architecture():
    pairs = ["epochs=3", "sizes=[[0, 20], [2, 28]]", "activation=relu", "xla=true"]
    changed = schema.with_settings(Recipe(), "lenet5", pairs)
    assert changed == Recipe(
        epochs=3, sizes=((0, 20), (2, 28)), xla=True, options={"activation": "relu"}
    )


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("epochz=3", "did you mean epochs?"),
        ("activaton=relu", "did you mean activation?"),
        ("hidden=(3,)", "lenet5 has the options"),  # of another architecture
        ("options={}", "Unknown setting"),
        ("epochs=three", "epochs must be a whole number"),
        ("epochs", "option=value"),
    ],
)
def test_an_invalid_setting_is_rejected(pair, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        schema.with_settings(Recipe(), "lenet5", [pair])


def test_a_pair_without_a_file_has_its_architecture_s_recipe():
    usual = recipe_file.load("mlp", "folder:/data/flowers")
    assert usual == Recipe()
    assert recipe_file.load("vgg11", "folder:/data/flowers") == dataclasses.replace(
        usual, learning_rate=3e-4
    )


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_user_s_file(tmp_path):
    path = write(
        tmp_path / "mine.toml",
        'model = "lenet5"\n[train]\nepochs = 2\nsizes = [[0, 20]]\n'
        '[options]\nactivation = "relu"\n'
        "[[result]]\naccuracy = [0.99, 0.991]\nseconds = 20\n",
    )
    assert recipe_file.load("lenet5", "folder:x", path) == Recipe(
        epochs=2, sizes=((0, 20),), options={"activation": "relu"}
    )
    with pytest.raises(ValueError, match=r"another model, lenet5\. Received: model=m"):
        recipe_file.load("mlp", "mnist", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepochz = 2", r"of \[train\] \(did you mean epochs\?\)"),
        ("[train]\nepochs = 0", "epochs must be a whole number of at least 1"),
        ("[tarin]\nepochs = 2", r"of a recipe file \(did you mean train\?\)"),
        ('[options]\nactivaton = "relu"', "did you mean activation?"),
        ("train = 3", r"train must be \[train\]"),
        ("description = 3", "description must be a string"),
        ("[[result]]\naccuracy = 0.99", "a list of accuracies"),
        ("[[result]]\naccuracy = [99.1]", "a list of accuracies"),
        ("[[result]]\nspeed = 3", r"of \[\[result\]\]"),
        ("[train\n", "line 1"),
        ("model = '\ud800'".encode("utf-8", "surrogatepass"), "utf-8"),
    ],
)
def test_a_mistake_in_a_file_is_reported_with_its_path(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=f"^{path}: .*{message}"):
        recipe_file.load("lenet5", "mnist", str(path))


def test_a_missing_recipe_is_rejected(tmp_path):
    missing = tmp_path / "none.toml"
    with pytest.raises(ValueError, match=f"No such file.*recipe={missing}"):
        recipe_file.load("lenet5", "mnist", str(missing))
    with pytest.raises(ValueError, match=r"Unknown recipe.*recipe=fastest"):
        recipe_file.load("lenet5", "mnist", "fastest")


def test_all_shipped_recipes_are_usable():
    files = recipe_file.shipped()
    assert files
    for file in files:
        assert file.model and file.dataset and file.description and file.source
        stem = "-".join(filter(None, (file.model, file.dataset, file.name)))
        assert file.path.stem == stem
        assert (
            recipe_file.load(file.model, file.dataset, file.name or None) == file.recipe
        )


def test_the_command_lists_them(capsys):
    assert cli.main(["recipes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["recipe"]["epochs"]) for row in listed] == [
        (file.model, file.recipe.epochs) for file in recipe_file.shipped()
    ]
    assert cli.main(["recipes"]) == 0
    table = capsys.readouterr().out
    for file in recipe_file.shipped():
        assert file.model in table and file.dataset in table
