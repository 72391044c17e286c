"""Replicas in this process or in a separate one."""

import contextlib
import socket
import subprocess
import sys
import time

import pytest

from tests.client.faults.replica import Replica


@pytest.fixture
def start():
    """start(...) -> a Replica in this process that is stopped after the test."""
    with contextlib.ExitStack() as running:

        def make(*args, **options):
            replica = Replica(*args, **options)
            running.callback(replica.stop)
            return replica

        yield make


class Process:
    """A Replica in its own process, which keeps its port across restarts."""

    def __init__(self, *arguments):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.target = f"127.0.0.1:{self.port}"
        self._arguments = [str(each) for each in arguments]
        self.start()

    def start(self):
        command = [sys.executable, "-m", "tests.client.faults.replica"]
        self._process = subprocess.Popen([*command, str(self.port), *self._arguments])

    def wait(self):
        """Wait until it listens."""
        end = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            assert self._process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)

    def kill(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def launch():
    """launch(version, seconds) -> a Process that is killed after the test.

    `seconds` is the duration of each call.
    """
    with contextlib.ExitStack() as running:

        def make(version=1, seconds=0.0):
            process = Process(version, seconds)
            running.callback(process.kill)
            return process

        yield make
