"""JSON of the REST API: how long it takes beside the standard library's.

    python benchmarks/rest_json.py

Prints the CPU time of each in microseconds, the best of 20 rounds, and their ratio.
"""

import json
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # starts sooner

import numpy as np
from tensorflow.core.framework import types_pb2

from fovea.serving.server.rest.encoding import reader
from fovea.serving.server.rest.encoding.json_to_tensors import inputs
from fovea.serving.server.rest.encoding.parse import may_hold_booleans, parse
from fovea.serving.server.rest.encoding.tensors_to_json import predictions

ROUNDS = 20


def cost(work: Callable[[], object], times: int) -> float:
    """Microseconds of CPU time for one call."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - started) / times)
    return best * 1e6


def show(what: str, ours: float, theirs: float) -> None:
    print(f"{what:<42}{ours:10.0f} / {theirs:8.0f} = {ours / theirs:.2f}")


def to_tensor(body: bytes, dtype: int) -> None:
    inputs(parse(body), {"x": dtype}, may_hold_booleans(body))


def main() -> None:
    random = np.random.default_rng(0)
    requests = {
        "1 x 28 x 28 x 1 integers": random.integers(0, 256, (1, 28, 28, 1)),
        "32 x 28 x 28 x 1 integers": random.integers(0, 256, (32, 28, 28, 1)),
        "32 x 784 floats": random.random((32, 784), np.float32).astype(float),
    }
    for what, array in requests.items():
        body = json.dumps({"instances": array.tolist()}).encode()
        floats = array.dtype.kind == "f"
        dtype = types_pb2.DT_FLOAT if floats else types_pb2.DT_UINT8
        times = 50 if len(array) == 1 else 3
        ours = cost(lambda body=body, dtype=dtype: to_tensor(body, dtype), times)
        loads = cost(lambda body=body: json.loads(body), times)
        both = cost(lambda body=body: np.array(json.loads(body)["instances"]), times)
        exact = cost(lambda body=body: reader.read(body), 1)
        show(f"{what}: json.loads", ours, loads)
        show(f"{what}: and np.array", ours, both)
        show(f"{what}: exact reader", exact, loads)
    for shape in ((1, 10), (32, 10), (1, 100_000)):
        array = random.random(shape, np.float32)
        times = 20 if array.size < 1000 else 1
        ours = cost(lambda array=array: predictions({"y": array}), times)
        theirs = cost(lambda array=array: json.dumps(array.tolist()), times)
        show(f"{shape[0]} x {shape[1]} floats: json.dumps", ours, theirs)


if __name__ == "__main__":
    main()
