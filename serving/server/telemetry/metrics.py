"""The server's metrics, under TensorFlow Serving's names and under conventional ones.

Dashboards made for TensorFlow Serving find its names, units and buckets; new ones
should use the conventional names, which also cover failures, requests in flight and the
process. `metrics_pages` renders the two pages.
"""

from __future__ import annotations

import bisect
import contextlib
import functools
import math
import time
from collections.abc import Iterator
from typing import Any

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

INFERENCES = {"Predict", "Classify", "Regress", "MultiInference"}

# Clients choose the model names in their requests, so the labels must be bounded.
MAX_NAMES = 1000

disable_created_metrics()  # no creation time for each set of labels
CONVENTIONAL = CollectorRegistry()
_TF_SERVING = CollectorRegistry()  # never rendered as a whole: see TF_SERVING_METRICS

TF_SERVING_METRICS: dict[str, Counter | Gauge | Histogram] = {}


def _exponential(scale: float, growth: float, count: int) -> list[float]:
    return [scale * growth**power for power in range(count)]


_MICROSECONDS = _exponential(10, 1.8, 33)
_SIZES = _exponential(1, 2, 14)


class _Histogram(Histogram):
    """The library's histogram with a binary search for the bucket."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        self._sum.inc(amount)
        self._buckets[bisect.bisect_left(self._upper_bounds, amount)].inc(1)


def _counter(name: str, *labels: str) -> Counter:
    counter = Counter(name, name, labels, registry=_TF_SERVING)
    TF_SERVING_METRICS[name] = counter
    return counter


def _histogram(name: str, bounds: list[float], *labels: str) -> Histogram:
    # TensorFlow Serving's buckets exclude their upper bound, the library's include it;
    # on the page, which shows six digits, the bounds are the same.
    buckets = [math.nextafter(bound, 0) for bound in bounds]
    histogram = _Histogram(name, name, labels, registry=_TF_SERVING, buckets=buckets)
    TF_SERVING_METRICS[name] = histogram
    return histogram


def _gauge(name: str) -> None:
    TF_SERVING_METRICS[name] = Gauge(name, name, registry=_TF_SERVING)


LOAD_ATTEMPTS = _counter(
    ":tensorflow:cc:saved_model:load_attempt_count", "model_path", "status"
)
LOAD_LATENCY = _counter(":tensorflow:cc:saved_model:load_latency", "model_path")
_histogram(
    ":tensorflow:cc:saved_model:load_latency_by_stage",
    _exponential(10, 1.8, 37),
    "model_path",
    "stage",
)
_SESSION_RUNS = _counter(":tensorflow:core:direct_session_runs")
_GRAPH_RUNS = _counter(":tensorflow:core:graph_runs")
_gauge(":tensorflow:serving:batching:mixed_priority_batching_policy")
_histogram(":tensorflow:serving:batching:padding_size_v2", _SIZES)
_counter(":tensorflow:serving:batching:processed_batch_size_v2")
_INPUT_BATCH_SIZE = _histogram(
    ":tensorflow:serving:batching_session:input_batch_size", _SIZES
)
_PADDING_SIZE = _histogram(
    ":tensorflow:serving:batching_session:padding_size", _SIZES, "execution_batch_size"
)
_PROCESSED_BATCH_SIZE = _histogram(
    ":tensorflow:serving:batching_session:processed_batch_size", _SIZES
)
_QUEUING_LATENCY = _histogram(
    ":tensorflow:serving:batching_session:queuing_latency",
    _exponential(100, 1.2, 52),
    "thread_pool_name",
)
_WRAPPED_RUNS = _counter(":tensorflow:serving:batching_session:wrapped_run_count")
_gauge(":tensorflow:serving:mlmd_map")
WARMUP_LATENCY = _histogram(
    ":tensorflow:serving:model_warmup_latency", _MICROSECONDS, "model_path", "status"
)
WARMUP_RECORDS = _counter(
    ":tensorflow:serving:model_warmup_records_read", "model_path", "status"
)
REQUESTS = _counter(":tensorflow:serving:request_count", "model_name", "status")
EXAMPLES_TOTAL = _counter(":tensorflow:serving:request_example_count_total", "model")
EXAMPLES = _histogram(
    ":tensorflow:serving:request_example_counts", _exponential(1, 2, 15), "model"
)
LATENCY = _histogram(
    ":tensorflow:serving:request_latency",
    _MICROSECONDS,
    "model_name",
    "API",
    "entrypoint",
)
_counter(":tensorflow:serving:request_log_count")
RUNTIME_LATENCY = _histogram(
    ":tensorflow:serving:runtime_latency",
    _MICROSECONDS,
    "model_name",
    "API",
    "runtime",
)

ENDED = Counter(
    "fovea_server_requests",
    "Requests that have ended, by the canonical status code.",
    ["method", "entrypoint", "code"],
    registry=CONVENTIONAL,
)
DURATION = _Histogram(
    "fovea_server_request_duration_seconds",
    "Time from a request's arrival in its thread to its response.",
    ["method", "entrypoint"],
    buckets=_exponential(0.0005, 2, 17),
    registry=CONVENTIONAL,
)
IN_FLIGHT = Gauge(
    "fovea_server_requests_in_flight",
    "Requests that are being handled.",
    ["entrypoint"],
    registry=CONVENTIONAL,
)
ProcessCollector(registry=CONVENTIONAL)
PlatformCollector(registry=CONVENTIONAL)

_names: set[str] = set()


def _bounded(model: str) -> str:
    """Return a model's name as a label, "" after too many different names."""
    if model not in _names:
        if len(_names) >= MAX_NAMES:
            return ""
        _names.add(model)
    return model


@functools.cache
def _child(metric: Any, *labels: str) -> Any:
    """Return the child of a metric for some labels; `labels` itself is slow."""
    return metric.labels(*labels)


class Watch:
    """Counts and times one request, from construction to `done`.

    Args:
        entrypoint: "GRPC" or "REST".
        method: The gRPC method, or the one that a REST request stands for.
        model: The model's name; "" without one.
    """

    __slots__ = ("_entrypoint", "_method", "_model", "_started")

    def __init__(self, entrypoint: str, method: str, model: str) -> None:
        self._entrypoint = entrypoint
        self._method = method
        self._model = model
        self._started = time.perf_counter()
        _child(IN_FLIGHT, entrypoint).inc()

    def done(self, code: grpc.StatusCode) -> None:
        """Count the request, which has ended with this code."""
        seconds = time.perf_counter() - self._started
        _child(IN_FLIGHT, self._entrypoint).dec()
        model = _bounded(self._model) if self._method in INFERENCES else ""
        ended, duration, requests, latency = _request_metrics(
            self._method, self._entrypoint, model, code.name
        )
        ended.inc()
        duration.observe(seconds)
        if requests is not None:
            requests.inc()
        if latency is not None:
            latency.observe(_microseconds(seconds))


@functools.cache
def _request_metrics(
    method: str, entrypoint: str, model: str, code: str
) -> tuple[Any, Any, Any, Any]:
    """Return the metrics of a request: ours, then TensorFlow Serving's or None."""
    requests = latency = None
    if method in INFERENCES:
        requests = REQUESTS.labels(model, code)
        if code == grpc.StatusCode.OK.name:
            # TensorFlow Serving writes the methods of REST as in their paths.
            api = method.lower() if entrypoint == "REST" else method
            latency = LATENCY.labels(model, api, entrypoint)
    return (
        ENDED.labels(method, entrypoint, code),
        DURATION.labels(method, entrypoint),
        requests,
        latency,
    )


def ran(method: str, model: str, started: float) -> None:
    """Record that the graph has run for a request since `started`, and succeeded."""
    taken = _microseconds(time.perf_counter() - started)
    _child(RUNTIME_LATENCY, _bounded(model), method, "TF1").observe(taken)


@contextlib.contextmanager
def runtime(method: str, model: str) -> Iterator[None]:
    """Measure how long the graph runs for a request, if it succeeds."""
    started = time.perf_counter()
    yield
    ran(method, model, started)


@contextlib.contextmanager
def loading(path: str) -> Iterator[None]:
    """Measure how long loading a version directory takes, or count its failure."""
    started = time.perf_counter()
    try:
        yield
    except BaseException:
        LOAD_ATTEMPTS.labels(path, "fail").inc()
        raise
    LOAD_ATTEMPTS.labels(path, "success").inc()
    taken = _microseconds(time.perf_counter() - started)
    LOAD_LATENCY.labels(path).inc(taken)


def warmed_up(path: str, records: int, seconds: float) -> None:
    """Record that the warm-up requests of a version directory were replayed."""
    if records == 0:
        return
    WARMUP_RECORDS.labels(path, "OK").inc(records)
    WARMUP_LATENCY.labels(path, "OK").observe(_microseconds(seconds))


def session_ran() -> None:
    """Count a run of a graph."""
    _SESSION_RUNS.inc()
    _GRAPH_RUNS.inc()


def examples(model: str, count: int) -> None:
    """Record the number of tf.Examples in a request."""
    EXAMPLES.labels(_bounded(model)).observe(count)
    EXAMPLES_TOTAL.labels(_bounded(model)).inc(count)


def batch_requested(rows: int, tensors: int) -> None:
    """Record a request for a batched run: its rows and its number of input tensors."""
    for _ in range(tensors):
        _INPUT_BATCH_SIZE.observe(rows)


def batch_waited(seconds: float) -> None:
    """Record how long a run, or a part of it, was in its queue."""
    # TensorFlow Serving leaves the name of the thread pool empty.
    _child(_QUEUING_LATENCY, "").observe(_microseconds(seconds))


def batch_filled(rows: int, size: int) -> None:
    """Record the rows of a batch and the size that it was padded to."""
    _child(_PADDING_SIZE, str(size)).observe(size - rows)
    _PROCESSED_BATCH_SIZE.observe(size)


def batch_ran() -> None:
    """Count a run of a graph for a batch."""
    _WRAPPED_RUNS.inc()


def _microseconds(seconds: float) -> int:
    return int(seconds * 1e6)
