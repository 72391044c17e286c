"""The runner: one loaded SavedModel, run as the C++ server runs it.

`tf.saved_model.load` words its errors differently and has no deadlines. A v1 Session
reaches the same `DirectSession::Run` that TensorFlow Serving calls, so the errors for
wrong dtypes and failing operations, and the time-outs, are TensorFlow Serving's own.
Its Python `run` would wrap the errors; `_call_tf_sessionrun` does not. It is private:
this module is its only user and `tests/server/saved_model/test_session_runner.py` its
contract test.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session as c_api
from tensorflow.python.framework import c_api_util

from fovea.serving.server.admission import Gate
from fovea.serving.server.cpus import usable_cpus
from fovea.serving.server.errors import ServingError, code_of, invalid_argument
from fovea.serving.server.saved_model.caller_thread import (
    CALLER_THREAD_OPTIONS,
    CallerThreadPolicy,
)
from fovea.serving.server.saved_model.empty_batch import batched_outputs, one_row
from fovea.serving.server.saved_model.files import choose_meta_graph, read_saved_model
from fovea.serving.server.saved_model.opaque import check_no_opaque
from fovea.serving.server.saved_model.ranks import required_ranks
from fovea.serving.server.saved_model.signatures import Signatures
from fovea.serving.server.telemetry import metrics

# More concurrent runs only take longer each: throughput does not rise.
RUNS_PER_CPU = 4


class Runner:
    """A SavedModel in a graph and a session of its own.

    Initialisation operations have run, tables and assets are in place.

    Args:
        path: The version directory.
        tags: The tags of the meta graph to load.
        config: The session's configuration. With a negative number of inter-op
            threads a run uses its caller's thread if its deadline allows.
        check_method_names: Whether a request may only use signatures whose method
            name is that of its method.

    Attributes:
        check_method_names: As given.
        signatures: Every signature of the graph, `__saved_model_init_op` too.

    Raises:
        ServingError: The SavedModel cannot be loaded.
    """

    def __init__(
        self,
        path: Path,
        tags: Sequence[str] = ("serve",),
        config: config_pb2.ConfigProto | None = None,
        check_method_names: bool = False,
    ) -> None:
        # Parsed once for all that is derived from it; nothing keeps it after that.
        meta_graph = choose_meta_graph(read_saved_model(path), tags)
        self.signatures = Signatures(meta_graph.signature_def)
        self.check_method_names = check_method_names
        self._required_ranks = required_ranks(meta_graph)
        self._batched_outputs = batched_outputs(meta_graph)
        self._caller_thread: CallerThreadPolicy | None = None
        if config is not None and config.inter_op_parallelism_threads < 0:
            self._caller_thread = CallerThreadPolicy(meta_graph)
            config = _with_threads(config)
        del meta_graph
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        try:
            with self._graph.as_default():
                tf.compat.v1.saved_model.loader.load(self._session, tags, str(path))
        except tf.errors.OpError as error:
            self.close()
            raise _serving_error(error) from None
        except Exception as error:
            self.close()
            raise invalid_argument(f"{path} cannot be loaded: {error}") from None
        self._session._extend_graph()
        self._endpoints: dict[str, Any] = {}
        self._gate = Gate(RUNS_PER_CPU * usable_cpus())

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout: float | None = None,
    ) -> list[Any]:
        """Run the graph once: `LoadedModel.run`."""
        for name, required in self._required_ranks.items():
            if name in feeds:
                required.check(feeds[name])
        if self._batched_outputs.issuperset(fetches):
            row = one_row(feeds)
            if row is not None:
                # If the row fails, the graph's own result for none at all counts.
                with contextlib.suppress(ServingError):
                    return [value[:0] for value in self._run(row, fetches, timeout)]
        return self._run(feeds, fetches, timeout)

    def _run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout: float | None,
    ) -> list[Any]:
        endpoints = self._endpoints
        try:
            feed = {endpoints[name]: array for name, array in feeds.items()}
            fetch = [endpoints[name] for name in fetches]
        except KeyError:  # the first run
            feed = {
                self._endpoint(name, "FeedInputs: unable to find feed output {}"): array
                for name, array in feeds.items()
            }
            fetch = [
                self._endpoint(name, "FetchOutputs node {}: not found")
                for name in fetches
            ]
        check_no_opaque(feeds, self._data_type)
        left = self._gate.enter(timeout)
        try:
            metrics.session_ran()
            policy = self._caller_thread
            if policy is None:
                return self._call(_options(left), feed, fetch)
            started = time.perf_counter()
            if policy.allows(fetches, left):
                options = CALLER_THREAD_OPTIONS
            else:
                options = _options(left)
            values = self._call(options, feed, fetch)
            policy.record(time.perf_counter() - started)
            return values
        finally:
            self._gate.leave()

    def _call(self, options: Any, feed: dict[Any, Any], fetch: list[Any]) -> list[Any]:
        try:
            return self._session._call_tf_sessionrun(options, feed, fetch, [], None)
        except tf.errors.OpError as error:
            raise _serving_error(error) from None
        finally:
            if options is not None and options is not CALLER_THREAD_OPTIONS:
                c_api.TF_DeleteBuffer(options)

    def _data_type(self, name: str) -> int:
        tensor = self._graph.get_tensor_by_name(_full_name(name))
        return tensor.dtype.as_datatype_enum

    def _endpoint(self, name: str, missing: str) -> Any:
        """Return the session's handle of a tensor.

        Whether the operation has that output is left to the session, whose error is
        TensorFlow Serving's.

        Args:
            name: The tensor, `operation:index`; an index of 0 may be left out.
            missing: The error for an operation that does not exist; {} is the tensor.

        Raises:
            ServingError: NOT_FOUND.
        """
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            operation, _, index = name.partition(":")
            try:
                found = self._graph.get_operation_by_name(operation)
                endpoint = c_api_util.tf_output(found._c_op, int(index or 0))
            except (KeyError, ValueError):
                text = missing.format(_full_name(name))
                raise ServingError(grpc.StatusCode.NOT_FOUND, text) from None
            self._endpoints[name] = endpoint
        return endpoint

    def close(self) -> None:
        """Free the session and the graph."""
        self._session.close()
        self._endpoints = {}
        del self._session, self._graph
        gc.collect()  # a graph is full of cycles: free it now


def _full_name(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def _with_threads(config: config_pb2.ConfigProto) -> config_pb2.ConfigProto:
    """Return a configuration with threads for runs outside their caller's thread."""
    threads = config_pb2.ConfigProto()
    threads.CopyFrom(config)
    threads.inter_op_parallelism_threads = usable_cpus()
    return threads


def _options(timeout: float | None) -> Any:
    if timeout is None:
        return None
    options = config_pb2.RunOptions(timeout_in_ms=max(1, int(timeout * 1000)))
    return c_api.TF_NewBufferFromString(options.SerializeToString())


def _serving_error(error: tf.errors.OpError) -> ServingError:
    return ServingError(code_of(error.error_code), error.message)
