"""Batching parameters with which the server does not start."""

import subprocess

import pytest

pytestmark = pytest.mark.slow


def test_batches_need_a_thread(kit, tmp_path):
    parameters = tmp_path / "batching.config"
    parameters.write_text("num_batch_threads { value: 0 }")
    (tmp_path / "toy").mkdir()
    done = subprocess.run(
        kit.server_command(
            f"--port={kit.free_port()}",
            f"--model_base_path={tmp_path / 'toy'}",
            "--enable_batching",
            f"--batching_parameters_file={parameters}",
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 255
    assert done.stderr.endswith(
        "Failed to start server. Error: INVALID_ARGUMENT: num_batch_threads must be "
        "positive; was 0\n"
    )
