"""--model_config_file: read at the start and then periodically, with its labels."""

import grpc
import pytest

from fovea.serving.server.errors import ServingError
from fovea.serving.server.flag_table import Flags
from fovea.serving.server.lifecycle.model_config import (
    local_path,
    read_config,
    validate,
)

ONE = """
model_config_list {{
  config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" {more} }}
}}
"""


def write(path, base, name="a", more=""):
    hidden = path.with_suffix(".tmp")
    hidden.write_text(ONE.format(name=name, base=base, more=more))
    hidden.rename(path)


def test_a_file_overrides_the_flags_of_one_model(tmp_path):
    file = tmp_path / "models.config"
    write(file, "/m/a", more='version_labels { key: "x" value: 3 }')
    flags = Flags(model_name="b", model_base_path="/m/b", model_config_file=str(file))
    (model,) = read_config(flags).model_config_list.config
    assert (model.name, model.base_path) == ("a", "/m/a")
    assert model.version_labels == {"x": 3}
    (model,) = read_config(Flags(model_base_path="/m")).model_config_list.config
    assert (model.name, model.base_path) == ("default", "/m")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            'base_path: "m/a" model_platform: "tensorflow"',
            "INVALID_ARGUMENT: Expected model a to have an absolute path or URI; got "
            "base_path()=m/a",
        ),
        (
            'base_path: "gs://m/a" model_platform: "tensorflow"',
            "UNIMPLEMENTED: File system scheme 'gs' not implemented (file: 'gs://m/a')",
        ),
        (
            'base_path: "/m/a"',
            "INVALID_ARGUMENT: Illegal setting neither ModelServerConfig::model_type "
            "(deprecated) nor ModelServerConfig::model_platform, model name is a",
        ),
        (
            'base_path: "/m/a" model_platform: "torch"',
            "INVALID_ARGUMENT: Model a requests unsupported platform torch",
        ),
        (
            'base_path: "/m/a" model_type: OTHER',
            "INVALID_ARGUMENT: ModelServerConfig::model_type choice 2 not supported.",
        ),
    ],
)
def test_models_that_cannot_be_served(tmp_path, fields, message):
    file = tmp_path / "models.config"
    file.write_text(f'model_config_list {{ config {{ name: "a" {fields} }} }}')
    config = read_config(Flags(model_config_file=str(file)))
    with pytest.raises(ServingError) as error:
        validate(config.model_config_list)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("base", "path"), [("/m/a", "/m/a"), ("file:///m/a", "/m/a"), ("file:/m", None)]
)
def test_paths_and_uris(tmp_path, base, path):
    file = tmp_path / "models.config"
    write(file, base)
    (model,) = read_config(Flags(model_config_file=str(file))).model_config_list.config
    if path is None:
        with pytest.raises(ServingError, match="absolute path or URI"):
            local_path(model)
    else:
        assert str(local_path(model)) == path


@pytest.mark.slow
def test_a_changed_file_is_applied_and_a_broken_one_ignored(kit, toys, tmp_path):
    for version in (1, 2):
        (tmp_path / "toys").mkdir(exist_ok=True)
        kit.copy_version(toys[version], tmp_path / "toys" / str(version))
    file = tmp_path / "models.config"
    labels = (
        "model_version_policy { all {} } "
        'version_labels { key: "old" value: 1 } version_labels { key: "new" value: 2 }'
    )
    write(file, tmp_path / "toys", more=labels)
    flags = (
        f"--model_config_file={file}",
        "--model_config_file_poll_wait_seconds=0.1",
        "--allow_version_labels_for_unavailable_models",
        "--num_load_threads=2",
        "--num_unload_threads=2",
    )
    with kit.running(tmp_path / "none", tmp_path / "log", *flags) as server:
        kit.until(lambda: [s for s, _, _ in status(server, "a")] == [30, 30])

        def by_label(label, name="a"):
            request = kit.predict_request(name, x=[1.0])
            request.model_spec.version_label = label
            return server.stubs.predict(request).model_spec.version.value

        assert (by_label("old"), by_label("new")) == (1, 2)

        # A new label may wait for its version; one in use keeps pointing to its own.
        write(file, tmp_path / "toys", more=labels.replace("value: 1", "value: 9"))
        kit.until(lambda: "Request to assign label to version 9 of" in server.log)
        assert by_label("old") == 1

        file.write_text("broken")
        kit.until(lambda: "Failed to read ModelServerConfig file" in server.log)
        file.unlink()
        kit.until(lambda: f"{file}; No such file or directory" in server.log)
        assert by_label("new") == 2

        write(file, tmp_path / "toys", name="b")
        kit.until(lambda: [s for s, _, _ in status(server, "b")] == [30])
        kit.until(lambda: [s for s, _, _ in status(server, "a")] == [50, 50])
        with pytest.raises(grpc.RpcError, match="Unrecognized servable version label"):
            by_label("new", "b")
        assert "Traceback" not in server.log


def status(server, name):
    try:
        return list(server.stubs.status(name).values())
    except grpc.RpcError:  # not known yet
        return []
