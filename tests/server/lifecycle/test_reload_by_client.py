"""Client.reload_config against the embedded server."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from fovea import AsyncClient, Client, InvalidRequest, ModelConfig

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(kit, toys, tmp_path_factory):
    """Directories a, b and c, each with versions 1 and 2 of the toy model."""
    root = tmp_path_factory.mktemp("models")
    for name in "abc":
        (root / name).mkdir()
        for number, source in toys.items():
            (root / name / str(number)).symlink_to(source)
    return root


def entry(models, name, more=""):
    return f"""config {{
  name: "{name}"
  base_path: "{models}/{name}"
  model_platform: "tensorflow"
  {more}
}}"""


@pytest.fixture(scope="module")
def file(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "models.config"
    entries = "\n".join(entry(models, name) for name in "ab")
    path.write_text(f"# our models\nmodel_config_list {{\n{entries}\n}}\n")
    return path


@pytest.fixture(scope="module")
def server(kit, models, file, tmp_path_factory):
    flags = (f"--model_config_file={file}", "--max_num_load_retries=0")
    log = tmp_path_factory.mktemp("server") / "log"
    with kit.running(models / "a", log, *flags) as server:
        yield server


@pytest.fixture
def client(server, file):
    """A client of a server that serves the models of `file`."""
    with Client(f"127.0.0.1:{server.port}") as client:
        client.reload_config(base=file)
        yield client


def serving(client, name):
    return sorted(v.version for v in client.status(name) if v.state == "AVAILABLE")


def test_a_model_is_added_and_the_others_are_kept(client, models, file, kit):
    now = client.reload_config([ModelConfig("c", f"{models}/c")], base=file)
    assert [model.name for model in now] == ["a", "b", "c"]
    assert [serving(client, name) for name in "abc"] == [[2], [2], [2]]
    now = client.reload_config(base=now, remove=["b", "c"])
    assert [model.name for model in now] == ["a"]
    kit.until(lambda: not serving(client, "b"))
    assert serving(client, "a") == [2]


def test_models_are_dropped_only_on_request(client, models, file):
    with pytest.raises(ValueError, match="whole list of models"):
        client.reload_config([ModelConfig("c", f"{models}/c")])
    with pytest.raises(ValueError, match="An empty list unloads every model"):
        client.reload_config(base=file, remove=["a", "b"])
    with pytest.raises(ValueError, match=r"one of \['a', 'b'\]\. Received: .*\['d'\]"):
        client.reload_config(base=file, remove=["d"])
    with pytest.raises(ValueError, match="Received: 'a' twice"):
        client.reload_config([ModelConfig("a", "/x")] * 2, replace=True)
    with pytest.raises(ValueError, match="Received: no file"):
        client.reload_config([ModelConfig("a", "/x")], replace=True, save=True)
    several = ["127.0.0.1:1", "127.0.0.1:2"]
    with Client(several) as spread, pytest.raises(ValueError, match="one server"):
        spread.reload_config(base=file)
    assert [serving(client, name) for name in "ab"] == [[2], [2]]


def test_replace_drops_the_other_models(client, models, kit):
    client.reload_config([ModelConfig("c", f"{models}/c", versions=[1])], replace=True)
    assert serving(client, "c") == [1]
    kit.until(lambda: not serving(client, "a") and not serving(client, "b"))
    assert client.reload_config(replace=True) == []
    kit.until(lambda: not serving(client, "c"))


def test_labels_are_assigned_when_their_versions_are_ready(client, models, file):
    """The server itself rejects a label of a version that it does not serve yet."""

    def version(label):
        inputs = {"x": np.ones(1, np.float32)}
        return client.predict(inputs, model="a", label=label).model_version

    both = ModelConfig(
        "a", f"{models}/a", versions="all", labels={"stable": 1, "canary": 2}
    )
    client.reload_config([both], base=file)
    assert (version("stable"), version("canary")) == (1, 2)
    newest = ModelConfig("a", f"{models}/a", labels={"stable": 2})
    now = client.reload_config([newest], base=[both])
    assert version("stable") == 2
    assert now == [newest]
    new = ModelConfig("c", f"{models}/c", latest=2, labels={"old": 1})
    assert client.reload_config([new], base=file)[-1] == new
    never = ModelConfig("a", f"{models}/a", labels={"old": 7})
    with pytest.raises(InvalidRequest, match=r"'old' of model 'a' .* 0\.3 s"):
        client.reload_config([never], base=file, timeout=0.3)


def test_configs_that_the_server_rejects(client, file, tmp_path):
    with pytest.raises(
        InvalidRequest, match=r"rejected the new list .*\babsolute path"
    ):
        client.reload_config([ModelConfig("c", "relative")], base=file)
    broken = tmp_path / "1"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"not a saved model")
    with pytest.raises(InvalidRequest, match="not every model could be loaded"):
        client.reload_config([ModelConfig("c", str(tmp_path))], base=file)


def test_a_file_that_is_not_a_config(client, tmp_path):
    with pytest.raises(OSError, match=r"a\.config"):
        client.reload_config(base=tmp_path / "a.config")
    (tmp_path / "b.config").write_text("models: a")
    with pytest.raises(
        ValueError, match=r"in protobuf's text format\. Received: .*b\.con"
    ):
        client.reload_config(base=tmp_path / "b.config")


def test_the_config_is_saved_for_the_next_start(server, models, file, tmp_path):
    copy = tmp_path / "models.config"
    copy.write_bytes(file.read_bytes())
    added = ModelConfig("c", f"{models}/c", versions=(2,), labels={"only": 2})

    async def change():
        async with AsyncClient(f"127.0.0.1:{server.port}") as client:
            return await client.reload_config([added], base=copy, save=True)

    now = asyncio.run(change())
    assert now[-1] == added
    with Client(f"127.0.0.1:{server.port}") as client:
        assert client.reload_config(base=copy) == now
        with pytest.raises(InvalidRequest):
            client.reload_config([ModelConfig("c", "x")], base=copy, save=True)
        assert client.reload_config(base=copy) == now  # the file is as before
    assert [path.name for path in tmp_path.iterdir()] == ["models.config"]
