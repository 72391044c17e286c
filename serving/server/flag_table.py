"""All flags of `tensorflow_model_server` and our own: name, default, help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def _flag(default: Any, kind: str, text: str) -> Any:
    return field(default=default, metadata={"type": kind, "help": text})


@dataclass(frozen=True)
class Flags:
    """The values of the flags that have an effect, by the flags' names."""

    port: int = _flag(
        8500,
        "int32",
        "TCP port to listen on for gRPC/HTTP API. Disabled if port set to zero.",
    )
    grpc_socket_path: str = _flag(
        "",
        "string",
        "If non-empty, listen to a UNIX socket for gRPC API on the given path. "
        "Can be either relative or absolute path.",
    )
    bind: str = _flag(
        "127.0.0.1",
        "string",
        "Address to listen on; 0.0.0.0 accepts connections of other machines. Not a "
        "flag of tensorflow_model_server, which always listens on 0.0.0.0.",
    )
    rest_api_port: int = _flag(
        0, "int32", "TCP port of the HTTP/REST API; 0: none. Must differ from --port."
    )
    rest_api_num_threads: int = _flag(
        0, "int32", "REST requests that run at the same time; 0: 4 times the CPUs."
    )
    rest_api_timeout_in_ms: int = _flag(
        30000, "int32", "Milliseconds after which a REST request times out."
    )
    rest_api_enable_cors_support: bool = _flag(
        False, "bool", "Allow pages of other origins to use the REST API (CORS)."
    )
    model_name: str = _flag(
        "default",
        "string",
        "Name of the model in requests; ignored with --model_config_file.",
    )
    model_base_path: str = _flag(
        "",
        "string",
        "Absolute path of the directory that holds the numbered versions; ignored "
        "with --model_config_file.",
    )
    model_config_file: str = _flag(
        "",
        "string",
        "Text ModelServerConfig protobuf: several models, version policies, labels.",
    )
    model_config_file_poll_wait_seconds: float = _flag(
        0, "float", "Seconds between two reads of the config file; 0: read it once."
    )
    file_system_poll_wait_seconds: float = _flag(
        1,
        "float",
        "Seconds between two polls for new versions; 0: poll once for each config; "
        "negative: never.",
    )
    num_load_threads: int = _flag(
        0, "int64", "Versions that are loaded at the same time; 0: one."
    )
    num_unload_threads: int = _flag(
        0, "int64", "Versions that are unloaded at the same time; 0: one."
    )
    max_num_load_retries: int = _flag(
        5, "int32", "How often the load of a version is retried when it fails."
    )
    load_retry_interval_micros: int = _flag(
        60_000_000, "int64", "Microseconds between two attempts to load a version."
    )
    allow_version_labels_for_unavailable_models: bool = _flag(
        False,
        "bool",
        "Allow a new label for a version that is not available yet.",
    )
    saved_model_tags: str = _flag(
        "serve", "string", "Comma-separated set of tags of the meta graph to load."
    )
    enable_model_warmup: bool = _flag(
        True,
        "bool",
        "Replay assets.extra/tf_serving_warmup_requests before serving a version.",
    )
    num_request_iterations_for_warmup: int = _flag(
        0, "int32", "How often each warm-up request is replayed; 0: once."
    )
    enable_batching: bool = _flag(
        False, "bool", "Batch requests that arrive at the same time."
    )
    batching_parameters_file: str = _flag(
        "", "string", "Text BatchingParameters protobuf; needs --enable_batching."
    )
    enable_per_model_batching_parameters: bool = _flag(
        False, "bool", "Read batching_params.pbtxt in the directory of a version."
    )
    monitoring_config_file: str = _flag(
        "", "string", "Text MonitoringConfig protobuf: metrics and their path."
    )
    ssl_config_file: str = _flag(
        "",
        "string",
        "Text SSLConfig protobuf with server_key, server_cert, custom_ca and "
        "client_verify: TLS for gRPC.",
    )
    enable_serialization_as_tensor_content: bool = _flag(
        False, "bool", "Encode Predict's outputs as raw bytes (tensor_content)."
    )
    enable_signature_method_name_check: bool = _flag(
        False,
        "bool",
        "Refuse requests to signatures whose method name is of another method.",
    )
    grpc_max_threads: int = _flag(
        0, "int32", "Requests that run at the same time; 0: 4 times the usable CPUs."
    )
    grpc_channel_arguments: str = _flag(
        "",
        "string",
        "Comma-separated arguments of the gRPC server "
        "(e.g. grpc.max_connection_age_ms=2000).",
    )
    tensorflow_session_parallelism: int = _flag(
        0,
        "int64",
        "Threads of a TensorFlow session, within and between operations; 0: auto.",
    )
    tensorflow_intra_op_parallelism: int = _flag(
        0, "int64", "Threads within one operation; 0: auto."
    )
    tensorflow_inter_op_parallelism: int = _flag(
        0, "int64", "Operations that run at the same time; 0: auto."
    )
    tensorflow_session_config_file: str = _flag(
        "",
        "string",
        "Text ConfigProto protobuf for TensorFlow's sessions; flags override it.",
    )
    per_process_gpu_memory_fraction: float = _flag(
        0, "float", "Fraction of a GPU's memory to reserve; 0: allocate on demand."
    )
    enable_grpc_healthcheck_service: bool = _flag(
        False, "bool", "Serve grpc.health.v1, which is served without the flag too."
    )
    use_alts_credentials: bool = _flag(
        False, "bool", "Google's ALTS: not supported, the server does not start."
    )
    access_log: str = _flag(
        "",
        "string",
        "File to log each request to, as a line of JSON; -: stderr; empty: none. Not "
        "a flag of tensorflow_model_server.",
    )
    drain_seconds: float = _flag(
        20,
        "float",
        "Seconds that accepted requests have to finish after SIGTERM or Ctrl-C. Not "
        "a flag of tensorflow_model_server, which drops them.",
    )
    version: bool = _flag(False, "bool", "Print the version and exit.")
    help: bool = _flag(False, "bool", "Print this text and exit.")


# Flags of tensorflow_model_server that are accepted and ignored.
WITHOUT_EFFECT = {
    "flush_filesystem_caches": "bool",
    "enable_profiler": "bool",
    "remove_unused_fields_from_bundle_metagraph": "bool",
    "prefer_tflite_model": "bool",
    "mixed_precision": "string",
    "thread_pool_factory_config_file": "string",
    "platform_config_file": "string",
    "skip_initialize_tpu": "bool",
}
