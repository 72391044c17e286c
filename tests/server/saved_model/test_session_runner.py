"""The contract of Session._call_tf_sessionrun, and the runner's use of it."""

import shutil

import grpc
import numpy as np
import pytest
from tensorflow.core.framework import tensor_pb2, types_pb2

from fovea.serving.server.errors import ServingError
from fovea.serving.server.saved_model.opaque import opaque_array
from fovea.serving.server.saved_model.session_runner import Runner


@pytest.fixture(scope="module")
def toy(toys):
    runner = Runner(toys[1])
    yield runner
    runner.close()


def call(runner, key, timeout=None, **inputs):
    signature = runner.signatures[key]
    feeds = {signature.inputs[alias].name: value for alias, value in inputs.items()}
    outputs = sorted(signature.outputs)
    values = runner.run(feeds, [signature.outputs[o].name for o in outputs], timeout)
    return dict(zip(outputs, values, strict=True))


def failure(call, *args, **kwargs):
    with pytest.raises(ServingError) as error:
        call(*args, **kwargs)
    return error.value


def test_a_session_run_takes_and_returns_arrays(toy):
    got = call(toy, "serving_default", x=np.array([1, 2, 5], np.float32))
    np.testing.assert_array_equal(got["y"], [1.5, 2, 3.5])
    assert got["y"].dtype == np.float32
    got = call(toy, "upper", text=np.array([b"a\xff\0", b""], object))
    assert got["same"].tolist() == [b"a\xff\0", b""]
    assert call(toy, "upper", text=np.array(b"a", object))["text"] == b"A"


def test_wrong_dtype_has_the_text_of_tensorflow_serving(toy):
    error = failure(call, toy, "serving_default", x=np.array([1], np.int64))
    assert str(error) == (
        "INVALID_ARGUMENT: Expects arg[0] to be float but int64 is provided"
    )


def test_wrong_shape_has_the_text_of_the_operation(toy):
    ones = np.ones((2, 2), np.float32)
    error = failure(call, toy, "both", a=ones, b=np.ones((3, 2), np.float32))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.message.startswith("Incompatible shapes: [2,2] vs. [3,2]\n\t [[{{")


def test_a_run_ends_at_its_timeout(toy):
    error = failure(call, toy, "slow", timeout=0.05, turns=np.int32(2**30))
    assert str(error) == "DEADLINE_EXCEEDED: Timed out waiting for notification"
    assert call(toy, "slow", timeout=60, turns=np.int32(1))["last"] == 1


def test_unknown_tensors_are_errors_not_crashes(toy):
    error = failure(toy.run, {"nobody:0": np.ones(1)}, [])
    assert str(error) == "NOT_FOUND: FeedInputs: unable to find feed output nobody:0"
    error = failure(toy.run, {}, ["nobody"])
    assert str(error) == "NOT_FOUND: FetchOutputs node nobody:0: not found"
    error = failure(toy.run, {}, ["nobody:x"])
    assert str(error) == "NOT_FOUND: FetchOutputs node nobody:x: not found"


def test_an_output_that_an_operation_lacks_has_the_text_of_the_session(toy):
    error = failure(toy.run, {}, ["NoOp"])
    assert str(error) == (
        "OUT_OF_RANGE: Node 'NoOp' (type: 'NoOp', num of outputs: 0) does not have "
        "output 0"
    )
    feed = toy.signatures["serving_default"].inputs["x"].name
    x = feed.partition(":")[0]
    text = f"OUT_OF_RANGE: Node '{x}' (type: 'Placeholder', num of outputs: 1) does not"
    error = failure(toy.run, {}, [f"{x}:3"])
    assert str(error) == f"{text} have output 3"
    error = failure(toy.run, {f"{x}:2": np.ones(1, np.float32)}, [feed])
    assert str(error) == f"{text} have output 2"


def test_resources_and_variants_are_rejected_with_the_session_s_text(toy):
    def opaque(dtype, **fields):
        proto = tensor_pb2.TensorProto(dtype=dtype, **fields)
        return opaque_array(proto, (2,))

    variant = opaque(types_pb2.DT_VARIANT)
    error = failure(call, toy, "both", a=np.ones((2, 2), np.float32), b=variant)
    assert str(error) == (
        "INVALID_ARGUMENT: Expects arg[1] to be float but variant is provided"
    )
    # The session looks for resources before it compares dtypes.
    handle = {"hash_code": 7, "name": "n", "maybe_type_name": "t"}
    resource = opaque(types_pb2.DT_RESOURCE, resource_handle_val=[handle])
    error = failure(call, toy, "both", a=variant, b=resource)
    assert str(error).startswith(
        "INVALID_ARGUMENT: Invalid resource type hash code: 7(name: n type: t). Perhaps"
    )


def test_a_v1_export_with_a_table_from_an_asset(kit, tmp_path):
    tf = kit.tf
    words = tmp_path / "words.txt"
    words.write_text("zero\none\n")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        index = tf.compat.v1.placeholder(tf.int64, [None], "index")
        variable = tf.compat.v1.get_variable("shift", initializer=np.int64(1))
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                str(words),
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
            ),
            "?",
        )
        word = table.lookup(index + variable)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(
            session,
            str(tmp_path / "1"),
            {"index": index},
            {"word": word},
            legacy_init_op=tf.compat.v1.tables_initializer(),
        )
    words.unlink()
    runner = Runner(tmp_path / "1")
    got = call(runner, "serving_default", index=np.array([-1, 0, 1], np.int64))
    assert got["word"].tolist() == [b"zero", b"one", b"?"]
    runner.close()


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda path: (path / "saved_model.pb").unlink(),
            "NOT_FOUND: Could not find SavedModel .pb or .pbtxt at supplied export "
            "directory path: {path}. Check that the directory exists and that you have "
            "the right permissions for accessing it.",
        ),
        (
            lambda path: (path / "saved_model.pb").write_bytes(b"not a saved model"),
            "DATA_LOSS: Can't parse {path}/saved_model.pb as binary proto",
        ),
        (
            lambda path: truncate(path / "variables" / "variables.data-00000-of-00001"),
            None,
        ),
        (lambda path: truncate(path / "variables" / "variables.index"), None),
    ],
)
def test_a_version_that_cannot_be_loaded(toys, tmp_path, break_it, message):
    path = shutil.copytree(toys[1], tmp_path / "1")
    break_it(path)
    error = failure(Runner, path)
    if message is not None:
        assert str(error) == message.format(path=path)


def truncate(file):
    file.write_bytes(file.read_bytes()[:10])


def test_wrong_tags(toys):
    error = failure(Runner, toys[1], ["train"])
    assert str(error) == (
        "NOT_FOUND: Could not find meta graph def matching supplied tags: { train }. "
        "To inspect available tag-sets in the SavedModel, please use the SavedModel "
        "CLI: `saved_model_cli`"
    )
