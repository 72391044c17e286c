"""The machines that train together: read from TF_CONFIG, and waited for."""

import json
import os
import socket
import time
from dataclasses import dataclass

# Seconds that workers have to come after the first one.
PATIENCE = 600.0
PAUSE = 0.5


@dataclass(frozen=True)
class Cluster:
    """What TF_CONFIG says.

    Attributes:
        addresses: host:port of every worker, the chief first.
        index: Which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int


def read() -> "Cluster | None":
    """Return the cluster of the environment variable TF_CONFIG; None without it.

    Raises:
        ValueError: If TF_CONFIG is not what TensorFlow documents, or has tasks
            other than "chief" and "worker".
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return None
    try:
        config = json.loads(text)
        jobs, task = config["cluster"], config["task"]
        # The order in which TensorFlow counts them.
        places = [
            (job, index) for job in ("chief", "worker") for index in _count(jobs, job)
        ]
        cluster = Cluster(
            tuple(jobs[job][index] for job, index in places),
            places.index((task["type"], int(task["index"]))),
        )
        for address in cluster.addresses:
            _split(address)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            'TF_CONFIG must be like {"cluster": {"worker": ["host:port", ...]}, '
            '"task": {"type": "worker", "index": 0}}, the task being one of the '
            f"cluster's. Received: TF_CONFIG={text}"
        ) from error
    return cluster


def gather(cluster: Cluster, patience: float = PATIENCE) -> None:
    """Wait until every worker is there.

    TensorFlow itself waits for an hour, deaf to Ctrl-C. Until it takes over, each
    worker listens at its own address and tries those of the others.

    Args:
        cluster: The workers.
        patience: Seconds to wait.

    Raises:
        OSError: If this worker's port is taken, or a worker has not come in time.
    """
    mine = cluster.addresses[cluster.index]
    missing = [address for address in cluster.addresses if address != mine]
    deadline = time.monotonic() + patience
    with _door(mine):
        missing = _unanswered(missing)
        if missing:
            print(f"waiting for {', '.join(missing)}", flush=True)
        while missing:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"After {patience:.0f} seconds not all workers are there. "
                    f"Received: no answer from {', '.join(missing)}"
                )
            time.sleep(PAUSE)
            missing = _unanswered(missing)


def _door(address: str) -> socket.socket:
    """Listen at an address' port, on all networks that the machine is in."""
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", _split(address)[1]),
            family=socket.AF_INET6 if both else socket.AF_INET,
            dualstack_ipv6=both,
        )
    except OSError as error:
        raise OSError(
            "A worker must be able to listen at the port of its own address: "
            f"{os.strerror(error.errno or 0)}. Received: {address} in TF_CONFIG"
        ) from error


def _unanswered(addresses: list[str]) -> list[str]:
    """Return those addresses at which nobody listens."""
    silent = []
    for address in addresses:
        try:
            socket.create_connection(_split(address), timeout=5).close()
        except OSError:
            silent.append(address)
    return silent


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _count(jobs: dict, job: str) -> range:
    if set(jobs) - {"chief", "worker"}:
        raise ValueError("of all jobs only chief and worker train")
    return range(len(jobs.get(job, ())))
