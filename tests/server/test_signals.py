"""A signal is handled in any thread to which the system delivers it."""

import signal
import subprocess
import sys

import pytest

CODE = """
import signal, threading, time
from fovea.serving.server.signals import Signals

def report():
    while not signals._waiting:
        time.sleep(0.01)
    print("waiting", flush=True)
    threading.Event().wait()

with Signals() as signals:
    threading.Thread(target=report, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    print(signals.wait(), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signal masks")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_delivered_to_another_thread(number):
    """It would never end if only signals in the main thread woke the main thread."""
    command = [sys.executable, "-c", CODE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "waiting\n"
        child.send_signal(number)
        assert child.communicate(timeout=60)[0] == f"{number.name}\n"
        assert child.returncode == 0
