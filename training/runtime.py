"""What a result depends on besides the code: versions, machine, settings."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from models import backend


def describe() -> dict:
    """Return versions, platform, CPU, devices and environment.

    Returns:
        A JSON-serialisable dict.
    """
    import tensorflow as tf

    packages = ("tensorflow", "keras", "numpy")
    return {
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cpus_usable": usable_cpus(),
        "devices": [d.name for d in tf.config.list_logical_devices()],
        "environment": {name: os.environ.get(name) for name in backend.ENVIRONMENT},
        "command": sys.argv,
    }


def has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def usable_cpus() -> int:
    """Return how many CPUs this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # another operating system
        text = ""
    for line in text.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
