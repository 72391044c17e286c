"""The contract between grpcio's server and its thread pool."""

import contextlib
import logging
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.rpc import grpc_private
from fovea.serving.server.rpc.own_threads import in_own_threads
from fovea.serving.server.rpc.threads import GrpcThreads, non_blocking

SECONDS = 30
REFUSED = grpc.StatusCode.INVALID_ARGUMENT, "no good"


class Service:
    """Methods of every type, from bytes to bytes."""

    def __init__(self):
        self.later = []
        self.came = threading.Semaphore(0)

    def upper(self, request, context):
        return request.upper()

    def thread(self, request, context):
        return threading.current_thread().name.encode()

    def abort(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "there is none")

    def broken(self, request, context):
        raise ValueError("broken")

    def wait(self, request, context, reply):
        self.later.append((request, reply))
        self.came.release()

    def refuse(self, request, context, reply):
        reply.fail(invalid_argument("no good"))

    def echo(self, request, context, reply):
        reply.send(request)


def no_text(raw):
    return raw.decode("ascii").encode()  # fails on what is not ASCII


def started(service, pool, **arguments):
    server = grpc.server(pool, **arguments)
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(method, no_text)
        for name, method in (
            ("upper", service.upper),
            ("thread", service.thread),
            ("abort", service.abort),
            ("broken", service.broken),
            ("wait", non_blocking(service.wait)),
            ("refuse", non_blocking(service.refuse)),
            ("echo", non_blocking(service.echo)),
            ("apart", in_own_threads(service.upper, 1, "apart")),
        )
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test", handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


@contextlib.contextmanager
def serving(service, pool, **arguments):
    """Run a server with the methods of a service; yield a function that calls them."""
    server, port = started(service, pool, **arguments)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield lambda name: channel.unary_unary(f"/test/{name}")
    server.stop(0).wait(SECONDS)


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def call(service):
    with serving(service, GrpcThreads(2, limit=8)) as call:
        yield call


def failure(function, *arguments):
    with pytest.raises(grpc.RpcError) as error:
        function(*arguments, timeout=SECONDS)
    return error.value.code(), error.value.details()


def test_this_grpcio_is_known(caplog):
    assert grpc_private.difference(grpc_private.server) is None
    assert GrpcThreads(1, limit=8).maximum_concurrent_rpcs is None
    assert not caplog.records


@pytest.mark.parametrize("name", grpc_private.SIGNATURES)
def test_another_signature_is_a_difference(monkeypatch, name):
    monkeypatch.setattr(grpc_private.server, name, lambda state, more: None)
    found = grpc_private.difference(grpc_private.server)
    assert found.startswith(f"{name} has the parameters (state, more), not (")
    monkeypatch.delattr(grpc_private.server, name)
    found = grpc_private.difference(grpc_private.server)
    assert found == f"there is no function {name}"


def test_other_missing_parts_are_differences():
    known = vars(grpc_private.server)

    def without(name, **others):
        rest = {key: value for key, value in known.items() if key != name}
        return grpc_private.difference(types.SimpleNamespace(**(rest | others)))

    assert without("") is None
    assert without("_CLOSED") == "there is no _CLOSED"
    assert without("cygrpc") == "there is no ReceiveMessageOperation"
    assert without("_RPCState").startswith("_RPCState cannot be made")
    empty = types.SimpleNamespace
    assert without("_RPCState", _RPCState=empty) == "_RPCState has no client"
    assert grpc_private.difference(None) == "there is no module grpc._server"


def test_calls_are_handled_by_an_unknown_grpcio_itself(service, monkeypatch, caplog):
    abort = grpc_private.server._abort

    def changed(state, call, code, details, trailers=()):
        abort(state, call, code, details)

    monkeypatch.setattr(grpc_private.server, "_abort", changed)
    pool = GrpcThreads(8, limit=2)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    text = record.getMessage()
    assert "\n" not in text
    assert "_abort has the parameters (state, call, code, details, trailers=())" in text
    assert "limit of 2 concurrent calls" in text
    limit = pool.maximum_concurrent_rpcs
    assert limit == 2
    with serving(service, pool, maximum_concurrent_rpcs=limit) as call:
        assert call("upper")(b"a", timeout=SECONDS) == b"A"
        assert call("echo")(b"a", timeout=SECONDS) == b"a"
        assert failure(call("refuse"), b"") == REFUSED
        waiting = [call("wait").future(b"", timeout=SECONDS) for _ in range(2)]
        for _ in waiting:
            assert service.came.acquire(timeout=SECONDS)
        code, _ = failure(
            call("apart"), b"a"
        )  # counted, although in grpcio's own threads
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        for _, reply in service.later:
            reply.send(b"")
        assert [c.result() for c in waiting] == [b""] * 2
    assert len(caplog.records) == 1


def test_a_method_runs_in_one_of_the_threads(call):
    assert call("upper")(b"a", timeout=SECONDS) == b"A"
    assert call("thread")(b"", timeout=SECONDS).startswith(b"grpc_")


def test_exceptions_of_a_method_are_reported_as_by_grpcio(call, caplog):
    caplog.set_level(logging.CRITICAL, "grpc")
    assert failure(call("abort"), b"") == (grpc.StatusCode.NOT_FOUND, "there is none")
    code, details = failure(call("broken"), b"")
    assert code is grpc.StatusCode.UNKNOWN
    assert details == "Exception calling application: broken"
    code, details = failure(call("upper"), b"\xff")
    assert code is grpc.StatusCode.INTERNAL
    assert details == "Exception deserializing request!"
    assert call("upper")(b"a", timeout=SECONDS) == b"A"


def test_deferred_calls_occupy_no_threads_and_may_end_in_any_order(call, service):
    calls = [call("wait").future(f"{n}".encode(), timeout=SECONDS) for n in range(6)]
    for _ in calls:
        assert service.came.acquire(timeout=SECONDS)
    assert call("upper")(b"a", timeout=SECONDS) == b"A"
    for request, reply in reversed(service.later):
        reply.send(request * 2)
    assert [c.result() for c in calls] == [f"{n}{n}".encode() for n in range(6)]


def test_an_error_reaches_the_client(call):
    assert failure(call("refuse"), b"") == REFUSED


def test_a_non_blocking_method_blocks_in_another_pool(service):
    with serving(service, ThreadPoolExecutor(1)) as call:
        assert call("echo")(b"a", timeout=SECONDS) == b"a"
        assert failure(call("refuse"), b"") == REFUSED


def test_deferred_calls_count_towards_the_limit(call, service):
    waiting = [call("wait").future(b"", timeout=SECONDS) for _ in range(8)]
    for _ in waiting:
        assert service.came.acquire(timeout=SECONDS)
    too_many = grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!"
    assert failure(call("upper"), b"a") == too_many
    assert failure(call("wait"), b"a") == too_many
    assert call("apart")(b"a", timeout=SECONDS) == b"A"
    for _, reply in service.later:
        reply.send(b"")
    assert [c.result() for c in waiting] == [b""] * 8
    assert call("upper")(b"a", timeout=SECONDS) == b"A"


def test_a_cancelled_call_gets_no_response_and_blocks_no_other(call, service):
    gone = call("wait").future(b"", timeout=SECONDS)
    assert service.came.acquire(timeout=SECONDS)
    gone.cancel()
    assert call("upper")(b"a", timeout=SECONDS) == b"A"
    service.later[0][1].send(b"")
    for _ in range(20):
        assert call("upper")(b"a", timeout=SECONDS) == b"A"


def test_a_call_without_a_message_is_rejected(service):
    # A streaming client can omit the message.
    def none():
        yield from ()

    server, port = started(service, GrpcThreads(1, limit=8))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        code, details = failure(channel.stream_unary("/test/upper"), none())
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert details.endswith(" requires exactly one request message.")
    server.stop(0).wait(SECONDS)
