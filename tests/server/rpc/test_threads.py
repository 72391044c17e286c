"""The contract of grpcio's server with the threads that this one gives it."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from fovea.serving.server.errors import invalid_argument
from fovea.serving.server.rpc import threads
from fovea.serving.server.rpc.own_threads import in_own_threads
from fovea.serving.server.rpc.threads import GrpcThreads, never_waits

SECONDS = 30


class Service:
    """Methods of every kind, of bytes to bytes."""

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


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def call(service):
    server = grpc.server(GrpcThreads(2, limit=8))
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(method, no_text)
        for name, method in (
            ("upper", service.upper),
            ("thread", service.thread),
            ("abort", service.abort),
            ("broken", service.broken),
            ("wait", never_waits(service.wait)),
            ("refuse", never_waits(service.refuse)),
            ("apart", in_own_threads(service.upper, 1, "apart")),
        )
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test", handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield lambda name: channel.unary_unary(f"/test/{name}")
    server.stop(0).wait(SECONDS)


def failure(function, *arguments):
    with pytest.raises(grpc.RpcError) as error:
        function(*arguments, timeout=SECONDS)
    return error.value.code(), error.value.details()


def test_this_grpcio_is_known():
    assert threads._UNARY is not None


def test_a_method_runs_in_one_of_the_threads(call):
    assert call("upper")(b"a", timeout=SECONDS) == b"A"
    assert call("thread")(b"", timeout=SECONDS).startswith(b"grpc_")


def test_what_a_method_raises_is_told_as_ever(call, caplog):
    caplog.set_level(logging.CRITICAL, "grpc")
    assert failure(call("abort"), b"") == (grpc.StatusCode.NOT_FOUND, "there is none")
    code, details = failure(call("broken"), b"")
    assert code is grpc.StatusCode.UNKNOWN
    assert details == "Exception calling application: broken"
    code, details = failure(call("upper"), b"\xff")
    assert code is grpc.StatusCode.INTERNAL
    assert details == "Exception deserializing request!"
    assert call("upper")(b"a", timeout=SECONDS) == b"A"


def test_calls_that_wait_take_no_threads_and_are_answered_in_any_order(call, service):
    calls = [call("wait").future(f"{n}".encode(), timeout=SECONDS) for n in range(6)]
    for _ in calls:
        assert service.came.acquire(timeout=SECONDS)
    assert call("upper")(b"a", timeout=SECONDS) == b"A"
    for request, reply in reversed(service.later):
        reply.send(request * 2)
    assert [c.result() for c in calls] == [f"{n}{n}".encode() for n in range(6)]


def test_an_error_is_told(call):
    told = grpc.StatusCode.INVALID_ARGUMENT, "no good"
    assert failure(call("refuse"), b"") == told


def test_a_method_that_never_waits_is_waited_for_in_another_pool(service):
    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(never_waits(method))
        for name, method in (("echo", service.echo), ("refuse", service.refuse))
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test", handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert channel.unary_unary("/test/echo")(b"a", timeout=SECONDS) == b"a"
        told = grpc.StatusCode.INVALID_ARGUMENT, "no good"
        assert failure(channel.unary_unary("/test/refuse"), b"") == told
    server.stop(0).wait(SECONDS)


def test_calls_that_wait_count_as_calls(call, service):
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


def test_who_has_gone_is_not_answered_and_keeps_nobody(call, service):
    gone = call("wait").future(b"", timeout=SECONDS)
    assert service.came.acquire(timeout=SECONDS)
    gone.cancel()
    assert call("upper")(b"a", timeout=SECONDS) == b"A"
    service.later[0][1].send(b"")
    for _ in range(20):
        assert call("upper")(b"a", timeout=SECONDS) == b"A"


def test_a_call_without_a_message_is_refused(call, service):
    # A client of streams can leave the message out.
    def none():
        yield from ()

    server = grpc.server(GrpcThreads(1, limit=8))
    handler = grpc.unary_unary_rpc_method_handler(service.upper)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test", {"upper": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        code, details = failure(channel.stream_unary("/test/upper"), none())
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert details.endswith(" requires exactly one request message.")
    server.stop(0).wait(SECONDS)
