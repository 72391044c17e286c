"""The two pages of metrics: TensorFlow Serving's text, and Prometheus's usual one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from fovea.serving.server.telemetry.metrics import CONVENTIONAL, TF_SERVING_METRICS

# Returns the available versions of each model as pairs of a name and a number.
Available = Callable[[], Iterable[tuple[str, int]]]


def tf_serving() -> bytes:
    """Return TensorFlow Serving's page: no help texts, counters without `_total`."""
    lines = []
    for name in sorted(TF_SERVING_METRICS):
        for family in TF_SERVING_METRICS[name].collect():
            lines.append(f"# TYPE {name} {family.type}")
            lines.extend(_lines(name, family))
    return ("\n".join(lines) + "\n").encode()


def _lines(name: str, family: Metric) -> Iterator[str]:
    groups: dict[tuple[str, ...], list[Sample]] = {}
    for sample in family.samples:
        values = tuple(v for key, v in sample.labels.items() if key != "le")
        groups.setdefault(values, []).append(sample)
    for values in sorted(groups):
        samples = groups[values]
        if not values and not any(sample.value for sample in samples):
            continue  # a metric without labels is shown once it has counted something
        if family.type != "histogram":
            yield f"{name}{_labels(samples[0])} {int(samples[0].value)}"
            continue
        for kind, form in (("bucket", ".0f"), ("sum", "g"), ("count", ".0f")):
            for sample in samples:
                if sample.name.endswith(f"_{kind}"):
                    yield f"{name}_{kind}{_labels(sample)} {sample.value:{form}}"


def _labels(sample: Sample) -> str:
    pairs = []
    for key, value in sample.labels.items():
        if key == "le" and value != "+Inf":
            value = f"{float(value):g}"
        for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
            value = value.replace(character, escaped)
        pairs.append(f'{key}="{value}"')
    return f"{{{','.join(pairs)}}}"


class _Versions(Collector):
    """The versions that are loaded, read whenever the page is."""

    def __init__(self, available: Available) -> None:
        self._available = available

    def collect(self) -> Iterator[Metric]:
        """Yield a gauge with one sample for each version that is available."""
        family = GaugeMetricFamily(
            "fovea_server_model_version_available",
            "1 for each version of a model that is available for requests.",
            labels=["model", "version"],
        )
        for model, version in self._available():
            family.add_metric([model, str(version)], 1)
        yield family


def conventional(available: Available) -> Callable[[], bytes]:
    """Return a function that renders the usual page.

    Args:
        available: Returns the available versions, as pairs of model and number.
    """
    versions = CollectorRegistry()
    versions.register(_Versions(available))

    def page() -> bytes:
        return generate_latest(CONVENTIONAL) + generate_latest(versions)

    return page
