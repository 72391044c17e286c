"""MultiInference: several classifiers and regressions of a model over one input."""

from __future__ import annotations

import grpc
from tensorflow_serving.apis import inference_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.inference.classify import (
    classification_tensors,
    fill_classifications,
)
from fovea.serving.server.inference.examples import run_examples
from fovea.serving.server.inference.regress import (
    OUTPUTS,
    fill_regressions,
    regression_tensors,
)
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import (
    CLASSIFY_METHOD,
    REGRESS_METHOD,
    fill_spec,
    signature_name,
)
from fovea.serving.server.telemetry import metrics


def multi_inference(
    runner: LoadedModel,
    version: int,
    request: inference_pb2.MultiInferenceRequest,
    timeout: float | None = None,
) -> inference_pb2.MultiInferenceResponse:
    """Answer a MultiInference request with a loaded model, in one run of its graph.

    The checks, their order and their texts are those of TF Serving's
    ``multi_inference.cc``.

    Args:
        runner: The loaded model, that of the first task.
        version: Its version, for the answer.
        request: What the client sent.
        timeout: Seconds that are left for it.

    Raises:
        ServingError: The request or a signature does not fit, or the graph failed.
    """
    input_names, output_names = _tensors(runner, request)
    model = request.tasks[0].model_spec.name
    with metrics.runtime("MultiInference", model):
        count, outputs = run_examples(
            runner, request.input, input_names, output_names, timeout
        )
    metrics.examples(model, count)
    response = inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        signature = runner.signatures[signature_name(task.model_spec)]
        result = response.results.add()
        fill_spec(result.model_spec, task.model_spec, version)
        if task.method_name == CLASSIFY_METHOD:
            fill_classifications(
                result.classification_result, signature, count, outputs
            )
        else:
            output = outputs[signature.outputs[OUTPUTS].name]
            fill_regressions(result.regression_result, count, output)
    return response


def _tensors(
    runner: LoadedModel, request: inference_pb2.MultiInferenceRequest
) -> tuple[list[str], list[str]]:
    """The tensors that take the examples, and those that the tasks want."""
    model = ""
    seen: set[str] = set()
    input_names: set[str] = set()
    output_names: set[str] = set()
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        model = model or task.model_spec.name
        if task.model_spec.name != model:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model "
                "name."
            )
        name = signature_name(task.model_spec)
        if name in seen:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        signature = runner.signatures.get(name)
        if signature is None:
            raise invalid_argument(
                f"Requested signature not found in model graph: {name}"
            )
        if task.method_name == CLASSIFY_METHOD:
            input_name, names = classification_tensors(
                signature, runner.check_method_names
            )
        elif task.method_name == REGRESS_METHOD:
            input_name, output = regression_tensors(
                signature, runner.check_method_names
            )
            names = [output]
        else:
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"Unsupported signature method_name: {task.method_name}",
            )
        input_names.add(input_name)
        output_names.update(names)
    return sorted(input_names), sorted(output_names)
