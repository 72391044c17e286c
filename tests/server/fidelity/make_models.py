"""Write the SavedModels of the requests, and the config files naming them.

    python -m tests.server.fidelity.make_models DIRECTORY

The recorded responses depend on every detail of these models: on the names of the
functions and on the order of the signatures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

CONFIGS = Path(__file__).parent / "configs"
DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16"),
    *("uint16", "int32", "uint32", "int64", "uint64", "bool", "string"),
    *("complex64", "complex128"),
)
EXAMPLES = [tf.TensorSpec([None], tf.string, name="inputs")]


def parse_x(examples: Any) -> Any:
    """The feature x of serialised tf.Examples, 0 where it is missing: [n, 1]."""
    spec = {"x": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.0])}
    return tf.io.parse_example(examples, spec)["x"]


class Affine(tf.Module):
    """y = x / 2 + offset, of plain floats and of tf.Examples."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.half = tf.Variable(0.5, name="half")
        self.offset = tf.Variable(float(offset), name="offset")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(self, x: Any) -> Any:
        return {"y": x * self.half + self.offset}

    @tf.function(input_signature=EXAMPLES)
    def regress(self, inputs: Any) -> Any:
        return {"outputs": parse_x(inputs) * self.half + self.offset}

    @tf.function(input_signature=EXAMPLES)
    def classify(self, inputs: Any) -> Any:
        y = parse_x(inputs) * self.half + self.offset
        classes = tf.tile(tf.constant([["up", "down"]]), [tf.shape(y)[0], 1])
        return {"classes": classes, "scores": tf.concat([y, -y], axis=1)}


class TwoInputs(tf.Module):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, name="a"),
            tf.TensorSpec([None, 2], tf.float32, name="b"),
        ]
    )
    def both(self, a: Any, b: Any) -> Any:
        return {"sum": a + b, "product": a * b, "total": tf.reduce_sum(a)}


class Jpeg(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def mean(self, image_bytes: Any) -> Any:
        def one(encoded: Any) -> Any:
            image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
            return tf.reduce_mean(tf.cast(image, tf.float32))

        means = tf.map_fn(one, image_bytes, fn_output_signature=tf.float32)
        return {"mean": means, "echo_bytes": image_bytes}


class Conv(tf.Module):
    """A 3 x 3 convolution of images, all of whose weights are one."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones([3, 3, 1, 4]), name="kernel")

    @tf.function(
        input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, name="images")]
    )
    def conv(self, images: Any) -> Any:
        return {"maps": tf.nn.conv2d(images, self.kernel, 2, "SAME")}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def encoded(self, image_bytes: Any) -> Any:
        def one(encoded: Any) -> Any:
            image = tf.io.decode_image(encoded, channels=1, expand_animations=False)
            return tf.image.resize(image, [8, 8])

        images = tf.map_fn(one, image_bytes, fn_output_signature=tf.float32)
        return self.conv(tf.ensure_shape(images, [None, 8, 8, 1]))


class Plain(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="x")])
    def scalar(self, x: Any) -> Any:
        return {"y": x + 1.0}


def affine(path: Path, offset: float) -> None:
    module = Affine(offset)
    save(
        module,
        path,
        serving_default=module.predict,
        regress_x=module.regress,
        classify_x=module.classify,
    )
    edit(
        path,
        regress_x=method_name("tensorflow/serving/regress"),
        classify_x=method_name("tensorflow/serving/classify"),
    )


def echo(path: Path) -> None:
    """A signature for each dtype that returns its input."""
    module, signatures = tf.Module(), {}
    for name in DTYPES:
        spec = tf.TensorSpec(None, tf.dtypes.as_dtype(name), name="x")
        signatures[name] = tf.function(
            lambda x: {"x": tf.identity(x)}, input_signature=[spec]
        )
        setattr(module, f"f_{name}", signatures[name])
    save(module, path, **signatures)


def digits(path: Path) -> None:
    """A network as `keras.Model.export` writes it."""
    keras.utils.set_random_seed(0)
    images = keras.Input((28, 28, 1), dtype="uint8", name="images")
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 5, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(10, activation="softmax", name="probabilities")(x)
    keras.Model(images, x).export(str(path), verbose=False)


def odd(path: Path) -> None:
    """Signatures that are almost, but not quite, classifiers or regressions."""

    def rows(inputs: Any, *row: Any) -> Any:
        return tf.tile(tf.constant([row]), [tf.shape(inputs)[0], 1])

    def up_down(inputs: Any) -> Any:
        return rows(inputs, "up", "down")

    def halves(inputs: Any) -> Any:
        return rows(inputs, 0.5, 0.25)

    answers: dict[str, Callable[[Any], dict[str, Any]]] = {
        "only_classes": lambda inputs: {"classes": up_down(inputs)},
        "only_scores": lambda inputs: {"scores": halves(inputs)},
        "three_outputs": lambda inputs: {
            "classes": up_down(inputs),
            "scores": halves(inputs),
            "more": halves(inputs),
        },
        "neither_output": lambda inputs: {"labels": up_down(inputs)},
        "flat_classes": lambda inputs: {"classes": up_down(inputs)[:, 0]},
        "flat_scores": lambda inputs: {"scores": halves(inputs)[:, 0]},
        "number_classes": lambda inputs: {"classes": rows(inputs, 1, 2)},
        "double_scores": lambda inputs: {"scores": tf.cast(halves(inputs), tf.float64)},
        "three_rows_of_classes": lambda inputs: {
            "classes": tf.constant([["a"], ["b"], ["c"]])
        },
        "three_rows_of_scores": lambda inputs: {
            "scores": tf.constant([[1.0], [2.0], [3.0]])
        },
        "widths_differ": lambda inputs: {
            "classes": up_down(inputs),
            "scores": rows(inputs, 0.5, 0.25, 0.125),
        },
        "flat_regression": lambda inputs: {"outputs": halves(inputs)[:, 0]},
        "wide_regression": lambda inputs: {"outputs": halves(inputs)},
        "scalar_regression": lambda inputs: {"outputs": tf.constant(1.0)},
        "three_regressions": lambda inputs: {"outputs": tf.constant([1.0, 2.0, 3.0])},
        "double_regression": lambda inputs: {
            "outputs": tf.cast(halves(inputs)[:, 0], tf.float64)
        },
        "other_regression": lambda inputs: {"y": halves(inputs)[:, 0]},
        "odd_method": lambda inputs: {
            "classes": up_down(inputs),
            "scores": halves(inputs),
        },
        "regress_method": lambda inputs: {"outputs": halves(inputs)[:, 0]},
        "classify_method": lambda inputs: {"scores": halves(inputs)},
    }
    module, signatures = tf.Module(), {}
    for name, answer in answers.items():
        signatures[name] = tf.function(answer, input_signature=EXAMPLES)
        setattr(module, name, signatures[name])
    save(module, path, **signatures)
    edit(
        path,
        odd_method=method_name("tensorflow/serving/odd"),
        regress_method=method_name("tensorflow/serving/regress"),
        classify_method=method_name("tensorflow/serving/classify"),
    )


def defaults(path: Path) -> None:
    """Two inputs, of which b is optional and defaults to [[3, 4]]."""
    module = TwoInputs()
    save(module, path, serving_default=module.both)

    def default_b(signature: Any) -> None:
        signature.defaults["b"].CopyFrom(tf.make_tensor_proto([[3.0, 4.0]]))

    edit(path, serving_default=default_b)


def save(module: tf.Module, path: Path, **signatures: Any) -> None:
    tf.saved_model.save(module, str(path), signatures=signatures)


def edit(path: Path, **changes: Callable[[Any], None]) -> None:
    """Change signatures of a SavedModel as `tf.saved_model.save` cannot."""
    file = path / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for name, change in changes.items():
        change(saved_model.meta_graphs[0].signature_def[name])
    file.write_bytes(saved_model.SerializeToString())


def method_name(method: str) -> Callable[[Any], None]:
    def change(signature: Any) -> None:
        signature.method_name = method

    return change


def make_models(directory: Path) -> None:
    """Write everything: <directory>/<model>/<version> and <directory>/*.config."""
    two_inputs, jpeg, plain, conv = TwoInputs(), Jpeg(), Plain(), Conv()
    affine(directory / "affine" / "1", offset=2)
    affine(directory / "affine" / "2", offset=3)
    save(two_inputs, directory / "two_inputs" / "1", serving_default=two_inputs.both)
    save(jpeg, directory / "jpeg" / "1", serving_default=jpeg.mean)
    save(plain, directory / "scalar" / "3", serving_default=plain.scalar)
    conv_path = directory / "conv" / "1"
    save(conv, conv_path, serving_default=conv.conv, encoded=conv.encoded)
    echo(directory / "echo" / "7")
    digits(directory / "digits" / "1")
    odd(directory / "odd" / "1")
    defaults(directory / "defaults" / "1")
    corrupt = directory / "corrupt" / "1"
    corrupt.mkdir(parents=True)
    (corrupt / "saved_model.pb").write_bytes(b"not a saved model")
    (directory / "empty").mkdir()
    for config in CONFIGS.iterdir():
        text = config.read_text().replace("$MODELS", str(directory))
        (directory / config.name).write_text(text)


if __name__ == "__main__":
    make_models(Path(sys.argv[1]).absolute())
