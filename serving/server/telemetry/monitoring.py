"""`--monitoring_config_file`: whether and where TensorFlow Serving's metrics are.

prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }
"""

from __future__ import annotations

from fovea.serving.server.text_proto import message_type, read_text_proto

DEFAULT_PATH = "/monitoring/prometheus/metrics"

MonitoringConfig = message_type(
    "MonitoringConfig", {"prometheus_config": {"enable": "bool", "path": "string"}}
)


def metrics_path(config_file: str) -> str:
    """Return the path of TensorFlow Serving's page of metrics, "" if it is off.

    Args:
        config_file: The path of a text MonitoringConfig; "" for none.

    Raises:
        ServingError: There is no such file, or it holds something else.
    """
    if not config_file:
        return ""
    config = read_text_proto(config_file, MonitoringConfig()).prometheus_config
    return (config.path or DEFAULT_PATH) if config.enable else ""
