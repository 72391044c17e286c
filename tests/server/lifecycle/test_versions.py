import logging
import shutil

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from fovea.serving.server.lifecycle.policy import VersionPolicy, version_policy
from fovea.serving.server.lifecycle.versions import VersionSource
from fovea.serving.server.saved_model.files import missing_part


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger="fovea.serving.server")
    return caplog


@pytest.fixture
def source(tmp_path):
    base_path = tmp_path / "model"
    base_path.mkdir()
    published = []
    source = VersionSource(
        "m",
        base_path,
        lambda versions: published.append([v.version for v in versions]),
        missing_part,
    )
    source.published = published
    return source


def test_the_highest_version_number_is_aspired(source, toys):
    for name in ("1", "00000002", "10x", "-3", "٣"):
        shutil.copytree(toys[1], source.base_path / name)
    source.poll()
    assert source.published == [[2]]


@pytest.mark.parametrize(
    ("text", "aspired"),
    [
        ("", [3]),
        ("latest {}", [3]),
        ("latest { num_versions: 2 }", [3, 2]),
        ("latest { num_versions: 9 }", [3, 2, 1]),
        ("all {}", [3, 2, 1]),
        ("specific { versions: 1 versions: 2 }", [2, 1]),
        ("specific { versions: 7 }", []),
    ],
)
def test_policies(source, toys, log, text, aspired):
    for name in ("1", "2", "3"):
        shutil.copytree(toys[1], source.base_path / name)
    model = text_format.Parse(
        f"model_version_policy {{ {text} }}", model_server_config_pb2.ModelConfig()
    )
    source.policy = version_policy(model)
    source.poll()
    assert source.published == [aspired]
    warning = (
        "Version 7 of servable m, which was requested to be served as a 'specific' "
        "version in the servable's version policy, was not found in the file system"
    )
    assert (warning in log.text) == ("7" in text)


def test_incomplete_versions_are_ignored(source, toys):
    for name in ("1", "2"):
        shutil.copytree(toys[1], source.base_path / name)
    (source.base_path / "3").mkdir()
    source.policy = VersionPolicy(count=2)
    source.poll()
    assert source.published == [[2, 1]]
    source.policy = VersionPolicy(count=None, only=frozenset({3}))
    source.poll()
    assert source.published == [[2, 1]]  # no complete version yet: no change


def test_two_names_for_one_version(source, toys, log):
    for name in ("1", "01"):
        shutil.copytree(toys[1], source.base_path / name)
    source.poll()
    assert source.published == [[1]]
    assert "Duplicate version 1 of servable m" in log.text


def test_a_missing_base_path_changes_nothing(source, toys, log):
    shutil.copytree(toys[1], source.base_path / "1")
    source.poll()
    source.base_path.rename(source.base_path.with_name("away"))
    source.poll()
    assert source.published == [[1]]
    assert (
        f"Could not find base path {source.base_path} for servable m with error "
        f"NOT_FOUND: {source.base_path} not found"
    ) in log.text


def test_an_empty_base_path_aspires_to_nothing(source, log):
    source.poll()
    assert source.published == [[]]
    assert (
        f"No versions of servable m found under base path {source.base_path}. Did you "
        "forget to name your leaf directory as a number (eg. '/1/')?"
    ) in log.text


def test_a_version_is_aspired_only_when_all_files_exist(source, toys, log):
    shutil.copytree(toys[1], source.base_path / "1")
    source.poll()
    files = sorted(f for f in toys[2].rglob("*") if f.is_file())
    assert len(files) >= 3
    # saved_model.pb is copied first and the fingerprint last: the misleading order.
    files.sort(key=lambda file: file.name != "saved_model.pb")
    for file in files:
        source.poll()
        source.poll()
        if file.name != "fingerprint.pb":
            assert source.published[-1] == [1]
        copy = source.base_path / "2" / file.relative_to(toys[2])
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    source.poll()
    source.poll()
    assert source.published[-1] == [2]
    assert (
        "Version 2 of m is not loaded yet: waiting for variables/variables" in log.text
    )


def test_a_version_that_still_grows_is_not_aspired(source, toys):
    shutil.copytree(toys[1], source.base_path / "1")
    source.poll()
    shutil.copytree(toys[2], source.base_path / "2")
    for size in range(3):
        (source.base_path / "2" / "notes").write_bytes(b"x" * size)
        source.poll()
        assert source.published[-1] == [1]
    source.poll()
    assert source.published[-1] == [2]


def test_missing_parts(toys, tmp_path):
    assert missing_part(toys[1]) is None
    assert missing_part(tmp_path) == "saved_model.pb"
    copy = shutil.copytree(toys[1], tmp_path / "copy")
    shard = copy / "variables" / "variables.data-00000-of-00001"
    shard.rename(shard.with_name("variables.data-00000-of-00002"))
    assert missing_part(copy) == "variables/variables.data-00001-of-00002"
    (copy / "variables" / "variables.index").unlink()
    assert missing_part(copy) == "variables/variables.index"
    shutil.rmtree(copy / "variables")
    assert missing_part(copy) == "variables/variables.index"
    (copy / "saved_model.pb").write_bytes(b"not a saved model")
    assert missing_part(copy) is None  # loading reports the error


def test_a_graph_without_variables_is_complete_without_a_variables_file(kit, tmp_path):
    class Plain(kit.tf.Module):
        @kit.tf.function(input_signature=[kit.tf.TensorSpec([], kit.tf.float32)])
        def add(self, x):
            return x + 1.0

    module = Plain()
    kit.tf.saved_model.save(module, str(tmp_path / "1"), signatures=module.add)
    shutil.rmtree(tmp_path / "1" / "variables")
    assert missing_part(tmp_path / "1") is None


def test_a_version_that_reappears_with_its_base_path_is_aspired_again(tmp_path, toys):
    published = []
    base_path = tmp_path / "model"
    shutil.copytree(toys[1], base_path / "1")
    source = VersionSource("m", base_path, published.append, missing_part)
    source.poll()
    source.poll()
    away = base_path.rename(tmp_path / "away")
    source.poll()
    source.poll()
    away.rename(base_path)
    source.poll()
    source.poll()
    before, same, *_, after = (versions[0].fingerprint for versions in published)
    assert before == same
    assert after != before  # the manager retries, since its files may be valid now
