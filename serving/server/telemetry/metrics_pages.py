"""The two pages of metrics: TF Serving's text, and the usual one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from fovea.serving.server.lifecycle.manager import Manager, State
from fovea.serving.server.telemetry.metrics import CONVENTIONAL, ORIGINAL_NAMES


def original() -> bytes:
    """TF Serving's page: types without help, counters without ``_total``."""
    lines = []
    for name in sorted(ORIGINAL_NAMES):
        for family in ORIGINAL_NAMES[name].collect():
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
            continue  # one that has no labels is there only once it counts something
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


class Versions(Collector):
    """Which versions are loaded, asked of a manager whenever the page is."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def collect(self) -> Iterator[Metric]:
        """One sample for each version that is available."""
        family = GaugeMetricFamily(
            "fovea_server_model_version_available",
            "1 for each version of a model that answers requests.",
            labels=["model", "version"],
        )
        for model in self._manager.models():
            for known in self._manager.statuses(model):
                if known.state is State.AVAILABLE:
                    family.add_metric([model, str(known.version)], 1)
        yield family


def conventional(manager: Manager) -> Callable[[], bytes]:
    """What writes the usual page, the versions of a manager included."""
    versions = CollectorRegistry()
    versions.register(Versions(manager))

    def page() -> bytes:
        return generate_latest(CONVENTIONAL) + generate_latest(versions)

    return page
