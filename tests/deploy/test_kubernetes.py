"""The manifests against Kubernetes' own schemas, and against each other."""

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from fovea.serving.server.flag_table import Flags
from fovea.serving.server.flags import parse

DEPLOY = Path(__file__).parents[2] / "deploy"
VERSIONS = ["1.32", kubernetes_validate.latest_version()]  # of KServe's oldest on


def documents(folder):
    """Every resource that a folder's kustomization names, by kind and name."""
    kustomization = yaml.safe_load((DEPLOY / folder / "kustomization.yaml").read_text())
    return {
        (one["kind"], one["metadata"]["name"]): one
        for file in kustomization["resources"]
        if file.endswith(".yaml")
        for one in yaml.safe_load_all((DEPLOY / folder / file).read_text())
    }


RESOURCES = documents("kubernetes")
POD = RESOURCES["Deployment", "fovea"]["spec"]["template"]
SERVER = POD["spec"]["containers"][0]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_schemas_of_kubernetes(version):
    resources = RESOURCES | documents("kubernetes-volume")
    assert len(resources) == 7
    for resource in resources.values():
        kubernetes_validate.validate(resource, version, strict=True)


def test_every_file_is_listed_in_a_kustomization():
    for folder in ("kubernetes", "kubernetes-volume"):
        kustomization = yaml.safe_load(
            (DEPLOY / folder / "kustomization.yaml").read_text()
        )
        named = {"kustomization.yaml", *kustomization["resources"]}
        named |= {patch["path"] for patch in kustomization.get("patches", [])}
        assert {path.name for path in (DEPLOY / folder).iterdir()} == named - {
            "../kubernetes"
        }


def test_selectors_match_the_pods():
    labels = POD["metadata"]["labels"]
    for (kind, name), resource in RESOURCES.items():
        spec = resource["spec"]
        if kind == "Service":
            assert spec["selector"] == labels
        elif kind == "HorizontalPodAutoscaler":
            assert (spec["scaleTargetRef"]["kind"], name) in RESOURCES
        else:
            selector = spec.get("selector") or spec["podSelector"]
            assert selector["matchLabels"] == labels
    spread = POD["spec"]["topologySpreadConstraints"][0]
    assert spread["labelSelector"]["matchLabels"] == labels


def test_ports_and_probes_are_those_of_the_image():
    dockerfile = (DEPLOY.parent / "Dockerfile").read_text()
    for port in SERVER["ports"]:
        assert f"port={port['containerPort']}" in dockerfile
    names = {port["name"] for port in SERVER["ports"]}
    for kind, name in RESOURCES:
        if kind == "Service":
            ports = RESOURCES[kind, name]["spec"]["ports"]
            assert {port["targetPort"] for port in ports} <= names
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert SERVER[probe]["grpc"] == {"port": 8500}
    assert RESOURCES["Service", "fovea-headless"]["spec"]["clusterIP"] == "None"


def test_a_stop_leaves_time_to_drain():
    pause = SERVER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["spec"]["terminationGracePeriodSeconds"] > pause + Flags().drain_seconds


def test_pods_conform_to_the_restricted_standard():
    pod, container = POD["spec"]["securityContext"], SERVER["securityContext"]
    assert pod["runAsNonRoot"] and pod["runAsUser"] > 0
    assert pod["seccompProfile"]["type"] == "RuntimeDefault"
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert POD["spec"]["automountServiceAccountToken"] is False


def test_the_patch_applies_to_the_deployment():
    patch = yaml.safe_load(
        (DEPLOY / "kubernetes-volume" / "deployment-patch.yaml").read_text()
    )
    assert (patch["kind"], patch["metadata"]["name"]) in RESOURCES
    spec = patch["spec"]["template"]["spec"]
    assert spec["containers"][0]["name"] == SERVER["name"]
    claim = spec["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in documents("kubernetes-volume")


# KServe publishes its schemas inside the cluster only. These are the fields that its
# Python SDK 0.21 knows (v1alpha1_serving_runtime_spec, v1beta1_predictor_spec,
# v1beta1_model_spec), of those that are used here; a container is checked as a pod's.
KNOWN = {
    "runtime": {
        "annotations",
        "supportedModelFormats",
        "protocolVersions",
        "containers",
    },
    "predictor": {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "model"},
    "model": {"runtime", "modelFormat", "protocolVersion", "storageUri"},
}


def test_kserve_runs_the_image_with_flags_that_exist():
    runtime = yaml.safe_load((DEPLOY / "kserve" / "serving-runtime.yaml").read_text())
    assert runtime["apiVersion"] == "serving.kserve.io/v1alpha1"
    assert runtime["kind"] == "ServingRuntime"
    spec = runtime["spec"]
    assert set(spec) <= KNOWN["runtime"]
    (container,) = spec["containers"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "checked"},
        "spec": {"containers": [container]},
    }
    kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)
    line = parse(container["args"])
    assert not line.unknown and not line.warnings
    assert line.flags.port == container["readinessProbe"]["grpc"]["port"]
    port = spec["annotations"]["prometheus.kserve.io/port"]
    assert line.flags.rest_api_port == int(port)

    service = yaml.safe_load((DEPLOY / "kserve" / "inference-service.yaml").read_text())
    assert service["apiVersion"] == "serving.kserve.io/v1beta1"
    assert service["kind"] == "InferenceService"
    predictor = service["spec"]["predictor"]
    assert set(predictor) <= KNOWN["predictor"]
    model = predictor["model"]
    assert set(model) <= KNOWN["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"] in spec["supportedModelFormats"]
    assert model["protocolVersion"] in spec["protocolVersions"]
