"""HandleReloadConfigRequest: models are added, changed and removed at run time.

TensorFlow Serving's responses to a sequence of such requests are in fidelity/.
"""

import threading
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tensorflow_serving.apis import model_management_pb2

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(kit, toys, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name, versions in {
        "affine": {1: toys[2], 2: kit.save_toy(root / "offset3", 3)},
        "two_inputs": {1: toys[1]},
        "digits": {1: toys[1]},
    }.items():
        (root / name).mkdir()
        for version, source in versions.items():
            kit.copy_version(source, root / name / str(version))
    (root / "corrupt" / "1").mkdir(parents=True)
    (root / "corrupt" / "1" / "saved_model.pb").write_bytes(b"not a saved model")
    return root


def config(models, *names, **more):
    """A list of models; the keywords are fields of the first."""
    configs = [
        {"name": name, "base_path": f"{models}/{name}", "model_platform": "tensorflow"}
        for name in names
    ]
    if more:
        configs[0].update(more)
    return {"model_config_list": {"config": configs}}


@pytest.fixture(scope="module")
def server(kit, models, tmp_path_factory):
    root = tmp_path_factory.mktemp("server")
    file = root / "models.config"
    start = config(models, "affine", "two_inputs", "digits", model_version_policy=ALL)
    message = json_format.ParseDict(
        {"config": start}, model_management_pb2.ReloadConfigRequest()
    )
    file.write_text(str(message.config))
    flags = (f"--model_config_file={file}", "--max_num_load_retries=0")
    with kit.running(Path("ignored"), root / "log", *flags) as server:
        yield server


ALL = {"all": {}}


def reload(server, config, timeout=60):
    request = json_format.ParseDict(
        {"config": config}, model_management_pb2.ReloadConfigRequest()
    )
    try:
        reply = server.stubs.model.HandleReloadConfigRequest(request, timeout=timeout)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    assert reply.HasField("status")
    return "OK", reply.status.error_message


def by_label(kit, server, label, name="affine"):
    request = kit.predict_request(name, x=[1.0])
    request.model_spec.version_label = label
    try:
        return server.stubs.predict(request).model_spec.version.value
    except grpc.RpcError as error:
        return error.code().name, error.details()


def statuses(server, name):
    return {n: state for n, (state, _, _) in server.stubs.status(name).items()}


def test_labels_are_assigned_moved_and_removed(kit, models, server):
    def labelled(**labels):
        labels = {label: str(version) for label, version in labels.items()}
        return config(models, "affine", model_version_policy=ALL, version_labels=labels)

    unknown = ("INVALID_ARGUMENT", "Unrecognized servable version label: stable")
    assert reload(server, labelled())[0] == "OK"
    kit.until(lambda: statuses(server, "affine") == {1: 30, 2: 30})
    assert by_label(kit, server, "stable") == unknown

    assert reload(server, labelled(stable=1, canary=2))[0] == "OK"
    assert by_label(kit, server, "stable") == 1
    assert by_label(kit, server, "canary") == 2
    assert by_label(kit, server, "stable", "nobody") == unknown

    rejection = (
        "FAILED_PRECONDITION",
        "Request to assign label to version 9 of model affine, which is not currently "
        "available for inference",
    )
    assert reload(server, labelled(stable=2, next=9)) == rejection
    assert by_label(kit, server, "stable") == 1  # either all labels are applied or none
    assert reload(server, labelled(stable=2))[0] == "OK"
    assert by_label(kit, server, "stable") == 2
    assert by_label(kit, server, "canary")[0] == "INVALID_ARGUMENT"


def test_policies_choose_the_versions(kit, models, server):
    def served(policy):
        reply = reload(server, config(models, "affine", model_version_policy=policy))
        assert reply == ("OK", "")
        return lambda: {
            version
            for version, state in statuses(server, "affine").items()
            if state == 30
        }

    for policy, versions in (
        ({"latest": {"num_versions": 2}}, {1, 2}),
        ({"specific": {"versions": ["1"]}}, {1}),
        ({"latest": {}}, {2}),
        ({"all": {}}, {1, 2}),
    ):
        now = served(policy)
        kit.until(lambda now=now, versions=versions: now() == versions, server.log_file)
        # "Latest" is the highest that is available.
        reply = server.stubs.predict(kit.predict_request("affine", x=[1.0]))
        assert reply.model_spec.version.value == max(versions)


def test_rejected_configs_change_nothing(models, server):
    assert reload(server, config(models, "affine", "digits")) == ("OK", "")
    for change, message in (
        (
            {"model_platform": "odd"},
            "Illegal to change a model's platform. For model affine platform was "
            "tensorflow and new platform requested is odd",
        ),
        ({"base_path": "relative"}, "Expected model affine to have an absolute path"),
        ({"model_type": "TENSORFLOW"}, "Illegal setting both"),
        ({"name": "digits"}, "Illegal to list model digits multiple times"),
    ):
        code, details = reload(server, config(models, "affine", "digits", **change))
        assert code == "INVALID_ARGUMENT"
        assert details.startswith(message)
    # as in TensorFlow Serving, reported after the models have been applied
    assert reload(server, config(models, "affine", "digits", logging_config={})) == (
        "INVALID_ARGUMENT",
        "No request-logger-creator provided.",
    )
    assert statuses(server, "digits") == {1: 30}


def test_only_new_models_are_waited_for(kit, models, server, tmp_path):
    assert reload(server, config(models, "affine")) == ("OK", "")
    with_failed = config(models, "affine", "corrupt")
    assert reload(server, with_failed)[0] == "UNKNOWN"
    assert reload(server, with_failed) == ("OK", "")
    server.stubs.predict(kit.predict_request("affine", x=[1.0]))


def test_a_reload_whose_client_has_cancelled_lets_the_next_one_start(
    kit, models, server
):
    """Two clients at a time; the first waits for a model that never appears."""
    never = config(models, "affine")
    never["model_config_list"]["config"].append(
        {"name": "never", "base_path": "/none/never", "model_platform": "tensorflow"}
    )
    outcomes = []
    first = threading.Thread(target=lambda: outcomes.append(reload(server, never, 2)))
    first.start()
    kit.until(lambda: "for servable never" in server.log)
    server.stubs.predict(kit.predict_request("affine", x=[1.0]))  # goes on meanwhile
    assert reload(server, config(models, "affine")) == ("OK", "")
    first.join()
    assert outcomes[0][0] == "DEADLINE_EXCEEDED"


def test_health_follows_each_model(kit, models, server):
    stub = health_pb2_grpc.HealthStub(server.channel)
    names = health_pb2.HealthCheckResponse.ServingStatus

    def health(name):
        request = health_pb2.HealthCheckRequest(service=f"model/{name}")
        return names.Name(stub.Check(request, timeout=30).status)

    reload(server, config(models, "affine", "digits", "corrupt"))
    kit.until(lambda: health("affine") == health("digits") == "SERVING")
    assert health("corrupt") == "NOT_SERVING"
    reload(server, config(models, "affine"))
    kit.until(lambda: health("digits") == "NOT_SERVING")
    assert health("affine") == "SERVING"
    server_wide = stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
    assert names.Name(server_wide.status) == "SERVING"


def test_reflection_names_services_and_their_types(server):
    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    wanted = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(
            file_containing_symbol="tensorflow.serving.PredictionService"
        ),
    ]
    services, file = stub.ServerReflectionInfo(iter(wanted), timeout=30)
    assert [service.name for service in services.list_services_response.service] == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "tensorflow.serving.ModelService",
        "tensorflow.serving.PredictionService",
    ]
    assert b"PredictRequest" in b"".join(
        file.file_descriptor_response.file_descriptor_proto
    )


def test_a_drain_waits_neither_for_a_reload_nor_for_reflection(kit, models, server):
    """The last test of this file: it ends the server."""
    never = config(models, "affine")
    never["model_config_list"]["config"].append(
        {"name": "later", "base_path": "/none/later", "model_platform": "tensorflow"}
    )
    outcomes, done = [], threading.Event()

    def one_and_no_end():
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        done.wait(60)

    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    stream = stub.ServerReflectionInfo(one_and_no_end())
    next(stream)
    waiting = threading.Thread(target=lambda: outcomes.append(reload(server, never)))
    waiting.start()
    kit.until(lambda: "for servable later" in server.log)
    server.signal()
    assert server.wait() == 0
    assert "Drained: every accepted request has ended" in server.log
    waiting.join()
    assert outcomes == [("UNAVAILABLE", "The server is shutting down")]
    done.set()
    with pytest.raises(grpc.RpcError):
        next(stream)
