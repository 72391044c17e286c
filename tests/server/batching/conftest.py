"""Servers, and a graph in Python that records its runs and can be paused."""

import concurrent.futures
import contextlib
import http.client
import threading

import numpy as np
import pytest

from fovea.serving.server.batching.batcher import Batcher
from fovea.serving.server.batching.input_spec import InputSpec
from fovea.serving.server.batching.parameters import PoolOptions, QueueOptions
from fovea.serving.server.batching.scheduler import Scheduler
from fovea.serving.server.errors import invalid_argument

SECONDS = 30  # time limit of each wait


class Graph:
    """Doubles `x`, rejects negative numbers, and can be paused."""

    def __init__(self):
        self.runs = []
        self.timeouts = []
        self.unpaused = threading.Event()
        self.unpaused.set()
        self.entered = threading.Semaphore(0)

    def __call__(self, feeds, fetches, timeout):
        self.runs.append(feeds)
        self.timeouts.append(timeout)
        self.entered.release()
        assert self.unpaused.wait(SECONDS)
        x = next(iter(feeds.values()))
        if x.dtype != np.float32:
            raise invalid_argument(f"Expects arg[0] to be float but {x.dtype} is given")
        if np.any(x < 0):
            raise invalid_argument("x is negative")
        known = {
            "double": x * 2,
            "half": x / 2,
            "rank 0": np.float32(1),
            "three rows": np.zeros(3, np.float32),
        }
        return [known[name] for name in fetches]

    def rows(self):
        return [len(next(iter(feeds.values()))) for feeds in self.runs]


class Batchers:
    """Creates batchers whose threads end with the test."""

    def __init__(self):
        self.schedulers = []

    def scheduler(self, threads=1):
        self.schedulers.append(Scheduler(PoolOptions(threads, "test")))
        return self.schedulers[-1]

    def batcher(self, graph, scheduler=None, shape=(-1,), **options):
        options.setdefault("max_execution_batch_size", options.get("max_batch_size", 8))
        options.setdefault("max_batch_size", options["max_execution_batch_size"])
        known = InputSpec(np.dtype(np.float32), shape)
        return Batcher(
            graph,
            {"x": known, "y": known},
            scheduler or self.scheduler(),
            QueueOptions(**options),
        )


@pytest.fixture
def graph():
    return Graph()


@pytest.fixture
def batchers(graph):
    batchers = Batchers()
    yield batchers
    graph.unpaused.set()
    for scheduler in batchers.schedulers:
        scheduler.close()


@pytest.fixture
def busy(graph):
    """busy(batcher) is a context in which the batcher's only thread is occupied."""

    class Busy:
        def __init__(self, batcher):
            self.batcher = batcher

        def __enter__(self):
            graph.unpaused.clear()
            self.first = self.batcher.submit({"y": floats(0)}, ["double"], None)
            assert graph.entered.acquire(timeout=SECONDS)
            graph.runs.clear()
            graph.timeouts.clear()

        def __exit__(self, *error):
            graph.unpaused.set()
            self.first.result(SECONDS)

    return Busy


def floats(*values):
    return np.array(values, np.float32)


class Served:
    """A server with a REST API and TensorFlow Serving's metrics page."""

    def __init__(self, kit, server, rest_port):
        self.server = server
        self._kit = kit
        self._rest_port = rest_port
        self._threads = concurrent.futures.ThreadPoolExecutor(32)

    def predict(self, model, signature="", timeout=SECONDS, **inputs):
        request = self._kit.predict_request(model, signature, **inputs)
        return self.server.stubs.predict(request, timeout)

    def rest(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self._rest_port, SECONDS)
        connection.request(method, path, body)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def begin(self, call, *arguments, **keywords):
        return self._threads.submit(call, *arguments, **keywords)

    def page(self):
        status, text = self.rest("GET", "/metrics/of/tfs")
        assert status == 200
        return text.splitlines()

    def metrics(self):
        """Return the values of the page, keyed by name and labels as printed."""
        lines = [line.rsplit(" ", 1) for line in self.page() if line[0] != "#"]
        return {name: float(value) for name, value in lines}

    def counted(self, since, name):
        """Return the increase of a value."""
        return self.metrics().get(name, 0) - since.get(name, 0)


@pytest.fixture(scope="session")
def serve(kit):
    @contextlib.contextmanager
    def serve(root, *flags):
        monitoring = root / "monitoring.config"
        monitoring.write_text(
            'prometheus_config { enable: true path: "/metrics/of/tfs" }'
        )
        port = kit.free_port()
        with kit.running(
            root / "toy",
            root / "server.log",
            f"--rest_api_port={port}",
            f"--monitoring_config_file={monitoring}",
            "--enable_batching",
            *flags,
        ) as server:
            kit.until(lambda: "Exporting HTTP/REST API" in server.log)
            yield Served(kit, server, port)

    return serve
