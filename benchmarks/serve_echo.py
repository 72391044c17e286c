"""The floor of benchmarks/serve.py: a gRPC server that runs nothing.

    python benchmarks/serve_echo.py PORT THREADS SIZE...

The n-th method /echo/N responds to any bytes with the n-th number of bytes.
"""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc


def main() -> None:
    """Serve until killed."""
    port, threads, *sizes = map(int, sys.argv[1:])
    server = grpc.server(
        ThreadPoolExecutor(threads),
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ],
    )
    handlers = {
        f"{number}": grpc.unary_unary_rpc_method_handler(
            lambda request, context, reply=b"x" * size: reply
        )
        for number, size in enumerate(sizes)
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("echo", handlers)]
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
