"""What a result depends on besides the code: versions, machine, settings."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from fovea.models import backend


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


def precision(asked: str) -> str:
    """Return the dtype policy to train with.

    Args:
        asked: A policy, or "auto": float32 on CPUs, where half the digits are no
            faster; on GPUs 16 bits, of the kind that their matrix units have.
    """
    if asked != "auto":
        return asked
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    capability = min((d.get("compute_capability", (0, 0)) for d in details), default=0)
    if not capability or capability < (7, 0):
        return "float32"
    return "mixed_bfloat16" if capability >= (8, 0) else "mixed_float16"


def xla(asked: "str | bool", replicas: int = 1) -> "str | bool":
    """Return Keras' `jit_compile`.

    Args:
        asked: True, False or "auto": not on CPUs; on GPUs wherever Keras knows that
            it works.
        replicas: Devices that share a step; XLA compiles for one.
    """
    if asked != "auto":
        return asked
    return "auto" if backend.has_gpu() and replicas == 1 else False


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
