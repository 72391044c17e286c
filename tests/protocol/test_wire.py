"""Our messages equal the official ones on the wire, and coexist with them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fovea.serving.protocol import compile_wire, wire_pb2

TWINS = [
    "TensorProto",
    "PredictRequest",
    "PredictResponse",
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "SignatureDefMap",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "HealthCheckRequest",
    "HealthCheckResponse",
    "Example",
    "ClassificationRequest",
    "ClassificationResponse",
    "ReloadConfigRequest",
    "ReloadConfigResponse",
]

_scalars = {
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "string": st.text(max_size=6),
    "bytes": st.binary(max_size=12),
}
_kinds = {
    getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{name.upper()}"): strategy
    for name, strategy in _scalars.items()
}


def _values(field):
    if field.message_type is not None:
        return messages(field.message_type)
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return _kinds[field.type]


def messages(descriptor):
    """Messages as plain data: {field name: value}."""

    def of_field(field):
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            return st.dictionaries(_values(key), _values(value), max_size=2)
        if field.is_repeated:
            return st.lists(_values(field), max_size=3)
        return _values(field)

    def one_of_each_oneof(data):
        seen = {}
        for name in data:
            oneof = descriptor.fields_by_name[name].containing_oneof
            seen[oneof.name if oneof else name] = name
        return {name: data[name] for name in seen.values()}

    fields = {field.name: of_field(field) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(one_of_each_oneof)


def fill(message, data):
    """Set the fields of a message, ours or official."""
    for name, value in data.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        target = getattr(message, name)
        if field.message_type is None:
            if field.is_repeated:
                target.extend(value)
            else:
                setattr(message, name, value)
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                target.update(value)
                continue
            for key, each in value.items():
                fill(target[key], each)
        elif field.is_repeated:
            for each in value:
                fill(target.add(), each)
        else:
            target.SetInParent()
            if field.message_type.full_name.startswith("google.protobuf."):
                for key, each in value.items():
                    setattr(target, key, each)
            else:
                fill(target, value)
    return message


def to_bytes(message):
    return message.SerializeToString(deterministic=True)


def twin(official, name):
    for module in (
        official.predict,
        official.metadata,
        official.status,
        official.classification,
        official.management,
    ):
        if hasattr(module, name):
            return getattr(module, name)
    if name == "Example":
        return official.example.Example
    if name.startswith("Health"):
        return getattr(health_pb2, name)
    return official.tensor.TensorProto


@pytest.mark.parametrize("name", TWINS)
def test_bytes_equal_the_official_ones_both_ways(official, name):
    ours, theirs = getattr(wire_pb2, name), twin(official, name)

    @settings(
        derandomize=True,
        max_examples=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(messages(ours.DESCRIPTOR))
    def check(data):
        mine, official_message = fill(ours(), data), fill(theirs(), data)
        wire = to_bytes(mine)
        assert wire == to_bytes(official_message)
        assert to_bytes(ours.FromString(wire)) == wire
        assert to_bytes(theirs.FromString(wire)) == wire

    check()


def test_type_numbers_are_tensorflows(official):
    official_numbers = {
        name: number
        for name, number in official.types.DataType.items()
        if not name.endswith("_REF")
    }
    assert dict(wire_pb2.DataType.items()) == official_numbers


def test_unknown_fields_survive(official):
    request = official.predict.PredictRequest()
    request.request_options.max_cache_length = 3  # a field that our subset leaves out
    ours = wire_pb2.PredictRequest.FromString(request.SerializeToString())
    assert ours.SerializeToString() == request.SerializeToString()


@pytest.mark.slow
def test_both_coexist_in_one_process_in_either_order():
    ours = (
        "from fovea import Client; Client('127.0.0.1:1').close();"
        "from fovea.serving.protocol import wire_pb2"
    )
    theirs = "from tensorflow_serving.apis import predict_pb2"
    compare = """
mine = wire_pb2.PredictRequest(output_filter=['a'])
official = predict_pb2.PredictRequest(output_filter=['a'])
assert mine.SerializeToString() == official.SerializeToString()
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", "\n".join([*order, compare])],
            stderr=subprocess.PIPE,
            text=True,
        )
        for order in ((ours, theirs), (theirs, ours))
    ]
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


def _file_descriptor(generated):
    (literal,) = (
        node.args[0].value
        for node in ast.walk(ast.parse(generated))
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") == "AddSerializedFile"
    )
    return descriptor_pb2.FileDescriptorProto.FromString(literal)


def _declared(stub):
    """Return {class: its annotated names} of a .pyi, whose types depend on protoc."""
    return {
        node.name: sorted(
            each.target.id for each in node.body if isinstance(each, ast.AnnAssign)
        )
        for node in ast.walk(ast.parse(stub))
        if isinstance(node, ast.ClassDef)
    }


def test_committed_code_is_up_to_date_with_wire_proto(tmp_path):
    compile_wire.compile_wire(tmp_path)
    fresh = (tmp_path / compile_wire.PROTO).with_name("wire_pb2.py").read_text()
    committed = Path(wire_pb2.__file__).read_text()
    # Only the embedded descriptor depends on the source; the lines around it depend
    # on the protoc release.
    assert _file_descriptor(committed) == _file_descriptor(fresh)
    stub = (tmp_path / compile_wire.PROTO).with_name("wire_pb2.pyi").read_text()
    assert _declared(Path(wire_pb2.__file__).with_suffix(".pyi").read_text()) == (
        _declared(stub)
    )


def test_committed_code_runs_on_the_oldest_supported_protobuf():
    committed = Path(wire_pb2.__file__).read_text()
    assert compile_wire.gencode_version(committed) <= compile_wire.OLDEST_RUNTIME
