"""The threads and the GPU memory that TensorFlow may use."""

import pytest

from fovea.serving.server.cpus import usable_cpus
from fovea.serving.server.errors import ServingError
from fovea.serving.server.flag_table import Flags
from fovea.serving.server.saved_model.session_config import session_config


def threads(**flags):
    config = session_config(Flags(**flags))
    return config.intra_op_parallelism_threads, config.inter_op_parallelism_threads


def test_flags_override_the_file_and_the_file_the_defaults(tmp_path):
    file = tmp_path / "session.config"
    file.write_text("intra_op_parallelism_threads: 3 log_device_placement: true")
    assert threads() == (max(1, usable_cpus() // 4), -1)
    assert threads(tensorflow_session_config_file=str(file)) == (3, -1)
    assert threads(tensorflow_session_parallelism=5) == (5, 5)
    assert threads(
        tensorflow_session_config_file=str(file),
        tensorflow_intra_op_parallelism=7,
        tensorflow_session_parallelism=5,
    ) == (7, 5)
    config = session_config(Flags(tensorflow_session_config_file=str(file)))
    assert config.log_device_placement


def test_gpu_memory_is_allocated_on_demand_or_limited():
    assert session_config(Flags()).gpu_options.allow_growth
    options = session_config(Flags(per_process_gpu_memory_fraction=0.5)).gpu_options
    assert options.per_process_gpu_memory_fraction == 0.5
    assert not options.allow_growth


def test_a_file_that_is_not_a_config_is_rejected(tmp_path):
    file = tmp_path / "session.config"
    file.write_text("threads: many")
    with pytest.raises(ServingError, match="Invalid protobuf file"):
        session_config(Flags(tensorflow_session_config_file=str(file)))
    with pytest.raises(ServingError, match="No such file"):
        session_config(Flags(tensorflow_session_config_file=str(tmp_path / "none")))
