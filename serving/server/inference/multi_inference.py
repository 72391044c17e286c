"""MultiInference: several classifiers and regressions of a model over one input.

The checks, their order and their texts are those of TensorFlow Serving's
`multi_inference.cc`.
"""

from __future__ import annotations

import grpc
from tensorflow_serving.apis import inference_pb2

from fovea.serving.server.errors import ServingError, invalid_argument
from fovea.serving.server.inference.classification import (
    classification_outputs,
    classifications,
)
from fovea.serving.server.inference.classify import fill_classifications
from fovea.serving.server.inference.examples import (
    INPUTS,
    check_not_empty,
    measured,
    serialized_examples,
)
from fovea.serving.server.inference.regress import fill_regressions
from fovea.serving.server.inference.regression import regression_outputs, regressions
from fovea.serving.server.inference.run_signature import prepare_run, run_together
from fovea.serving.server.saved_model.interface import LoadedModel
from fovea.serving.server.saved_model.signatures import (
    CLASSIFY_METHOD,
    REGRESS_METHOD,
    fill_spec,
    signature_name,
)


def multi_inference(
    model: LoadedModel,
    version: int,
    request: inference_pb2.MultiInferenceRequest,
    timeout: float | None = None,
) -> inference_pb2.MultiInferenceResponse:
    """Return the response to a MultiInference request, from one run of the graph.

    Args:
        model: The loaded model, that of the first task.
        version: Its version, for the response.
        request: The client's request.
        timeout: Seconds until the client's deadline; None for none.

    Raises:
        ServingError: The request or a signature is unsuitable, or the graph failed.
    """
    wanted = _outputs(model, request)
    examples = serialized_examples(request.input)
    check_not_empty(examples)
    runs = [
        prepare_run(model, name, {INPUTS: examples}, outputs)
        for name, outputs in wanted.items()
    ]
    timer = measured("MultiInference", request.tasks[0].model_spec.name, examples)
    computed = run_together(model, runs, timeout, timer)
    response = inference_pb2.MultiInferenceResponse()
    for task, outputs in zip(request.tasks, computed, strict=True):
        result = response.results.add()
        fill_spec(result.model_spec, task.model_spec, version)
        if task.method_name == CLASSIFY_METHOD:
            fill_classifications(
                result.classification_result, classifications(outputs, len(examples))
            )
        else:
            fill_regressions(
                result.regression_result, regressions(outputs, len(examples))
            )
    return response


def _outputs(
    model: LoadedModel, request: inference_pb2.MultiInferenceRequest
) -> dict[str, list[str]]:
    """Check the tasks; return the outputs that they want, by their signatures' names.

    Raises:
        ServingError: A task or its signature is unsuitable.
    """
    model_name = ""
    wanted: dict[str, list[str]] = {}
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        model_name = model_name or task.model_spec.name
        if task.model_spec.name != model_name:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model "
                "name."
            )
        name = signature_name(task.model_spec)
        if name in wanted:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        signature = model.signatures.get(name)
        if signature is None:
            raise invalid_argument(
                f"Requested signature not found in model graph: {name}"
            )
        if task.method_name == CLASSIFY_METHOD:
            wanted[name] = classification_outputs(signature, model.check_method_names)
        elif task.method_name == REGRESS_METHOD:
            wanted[name] = regression_outputs(signature, model.check_method_names)
        else:
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"Unsupported signature method_name: {task.method_name}",
            )
    return wanted
