"""The environment that a result depends on: versions, machine, settings."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from fovea.models import backend


def describe() -> dict[str, Any]:
    """Return versions, platform, CPU, devices and environment, as JSON values."""
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


def precision(policy: str) -> str:
    """Return the dtype policy to train with.

    Args:
        policy: A policy, or "auto": float32 on CPUs, where 16 bits are no faster; on
            GPUs the 16-bit type of their matrix units.
    """
    if policy != "auto":
        return policy
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    capabilities = [each.get("compute_capability", (0, 0)) for each in details]
    capability = min(capabilities, default=(0, 0))
    if capability < (7, 0):
        return "float32"
    return "mixed_bfloat16" if capability >= (8, 0) else "mixed_float16"


def xla(setting: str | bool, replicas: int = 1) -> str | bool:
    """Return Keras' `jit_compile`.

    Args:
        setting: True, False or "auto": off on CPUs; on GPUs Keras' own choice.
        replicas: Devices that share a step; XLA compiles for one.
    """
    if setting != "auto":
        return setting
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
