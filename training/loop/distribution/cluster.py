"""The machines that train together: read TF_CONFIG, and wait for the workers."""

import json
import os
import socket
import time
from dataclasses import dataclass

# Seconds that workers have to start after the first one.
TIMEOUT = 600.0
PAUSE = 0.5


@dataclass(frozen=True)
class Cluster:
    """The workers in TF_CONFIG.

    Attributes:
        addresses: host:port of every worker, the chief first.
        index: The index of this process among them.
    """

    addresses: tuple[str, ...]
    index: int


def read() -> Cluster | None:
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
            (job, index) for job in ("chief", "worker") for index in _indices(jobs, job)
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


def wait_for_workers(cluster: Cluster, timeout: float = TIMEOUT) -> None:
    """Wait until every worker has started.

    TensorFlow itself waits for an hour and ignores Ctrl-C. Before it takes over, each
    worker listens at its own address and connects to those of the others.

    Args:
        cluster: The workers.
        timeout: Seconds to wait.

    Raises:
        OSError: If this worker's port is taken, or a worker has not started in time.
    """
    mine = cluster.addresses[cluster.index]
    missing = [address for address in cluster.addresses if address != mine]
    deadline = time.monotonic() + timeout
    with _listen(mine):
        missing = _unreachable(missing)
        if missing:
            print(f"waiting for {', '.join(missing)}", flush=True)
        while missing:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"Not all workers have started within {timeout:.0f} seconds. "
                    f"Received: no connection to {', '.join(missing)}"
                )
            time.sleep(PAUSE)
            missing = _unreachable(missing)


def _listen(address: str) -> socket.socket:
    """Listen at an address' port, on all network interfaces."""
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


def _unreachable(addresses: list[str]) -> list[str]:
    """Return those addresses at which no process listens."""
    unreachable = []
    for address in addresses:
        try:
            socket.create_connection(_split(address), timeout=5).close()
        except OSError:
            unreachable.append(address)
    return unreachable


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _indices(jobs: dict[str, list[str]], job: str) -> range:
    if set(jobs) - {"chief", "worker"}:
        raise ValueError("the only jobs that train are chief and worker")
    return range(len(jobs.get(job, ())))
