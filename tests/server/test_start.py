"""Starting the server: its output and its exit code."""

import signal
import socket
import subprocess
import sys

import grpc
import pytest


def run(kit, *flags):
    return subprocess.run(
        kit.server_command(*flags), capture_output=True, text=True, timeout=100
    )


def last_line(text):
    """Return the last line of output without its time stamp."""
    line = text.strip().splitlines()[-1]
    return line.split(" ", 2)[2]


def test_nothing_to_serve(kit):
    done = run(kit, "--port=8500")
    assert done.returncode == 255
    assert last_line(done.stderr) == (
        "E Failed to start server. Error: INVALID_ARGUMENT: Both "
        "server_options.model_base_path and server_options.model_config_file are "
        "empty!"
    )
    assert done.stdout == ""


def test_a_flag_with_an_invalid_value(kit):
    done = run(kit, "--port=abc")
    assert done.returncode == 255
    assert done.stderr == "Couldn't interpret value abc for flag port.\n"
    assert done.stdout.startswith("usage: python -m fovea.serving.server\nFlags:\n")


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_flags_that_only_print(kit, flag):
    done = run(kit, flag)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith(("TensorFlow ModelServer: ", "usage: "))


def test_a_port_in_use_is_reported_before_tensorflow_starts(kit, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run(kit, f"--port={port}", f"--model_base_path={tmp_path}")
    assert done.returncode == 255
    assert last_line(done.stderr) == (
        "E Failed to start server. Error: UNAVAILABLE: cannot listen on "
        f"127.0.0.1:{port}: Address already in use; stop what uses it or choose another"
    )
    assert "TensorFlow" not in done.stderr


def test_an_address_of_another_machine(kit, tmp_path):
    done = run(kit, "--bind=203.0.113.1", f"--model_base_path={tmp_path}")
    assert done.returncode == 255
    assert "cannot listen on 203.0.113.1:8500" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_corrupt_model_ends_the_start(kit, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"not a saved model")
    port = kit.free_port()
    flags = ("--model_name=a", "--max_num_load_retries=0", f"--port={port}")
    done = run(kit, *flags, f"--model_base_path={tmp_path}")
    assert done.returncode == 255
    assert last_line(done.stderr) == (
        "E Failed to start server. Error: UNKNOWN: 1 servable(s) did not become "
        "available: {{{name: a version: 1} due to error: DATA_LOSS: Can't parse "
        f"{tmp_path}/1/saved_model.pb as binary proto}}, }}"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_it_waits_for_a_base_path_and_listens_only_when_ready(kit, toys, tmp_path):
    port, base_path, log = kit.free_port(), tmp_path / "late", tmp_path / "log"
    socket_path = tmp_path / "socket"
    with log.open("wb") as output:
        server = subprocess.Popen(
            kit.server_command(
                f"--port={port}",
                f"--model_base_path={base_path}",
                "--no_such_flag=1",
                "--mixed_precision=bfloat16",
                "--file_system_poll_wait_seconds=0.2",
                f"--grpc_socket_path={socket_path}",
            ),
            stdout=output,
            stderr=output,
        )
    try:
        missing = (
            "FileSystemStoragePathSource encountered a filesystem access error: Could "
            f"not find base path {base_path} for servable default with error "
            f"NOT_FOUND: {base_path} not found"
        )
        kit.until(lambda: log.read_text().count(missing) > 2, log)
        assert not kit.is_open(port)
        base_path.mkdir()
        empty = (
            f"No versions of servable default found under base path {base_path}. Did "
            "you forget to name your leaf directory as a number (eg. '/1/')?"
        )
        kit.until(lambda: empty in log.read_text(), log)
        assert not kit.is_open(port)
        kit.copy_version(toys[1], base_path / "1")
        running = f"Running gRPC ModelServer at 127.0.0.1:{port} ..."
        kit.until(lambda: running in log.read_text(), log)

        text = log.read_text()
        assert text.startswith("unknown argument: --no_such_flag=1\nusage: ")
        assert "W --mixed_precision has no effect here" in text
        with grpc.insecure_channel(f"unix:{socket_path}") as channel:
            stubs = kit.Stubs(channel)
            stubs.predict(kit.predict_request("default", x=[1.0]))
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
def test_a_signal_while_starting_ends_at_once(kit, tmp_path):
    command = kit.server_command(
        f"--port={kit.free_port()}", f"--model_base_path={tmp_path}"
    )
    with subprocess.Popen(command, stderr=subprocess.PIPE) as server:
        for line in server.stderr:
            if b"Starting TensorFlow" in line:
                break
        server.send_signal(signal.SIGINT)
        rest = server.stderr.read()
        assert server.wait(60) == 128 + signal.SIGINT
    assert b"Traceback" not in rest


def test_without_tensorflow_the_error_names_the_package_to_install(kit, tmp_path):
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from fovea.serving.server.main import run\n"
        f"sys.exit(run(['--port={kit.free_port()}', '--model_base_path={tmp_path}']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 255
    assert last_line(done.stderr) == (
        "E Failed to start server. Error: FAILED_PRECONDITION: the server needs "
        "tensorflow: pip install 'fovea[serve]'"
    )
