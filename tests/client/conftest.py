"""A small gRPC server that implements TensorFlow Serving's protocol.

It is built upon the official stubs, so that the client's messages are checked by
independent code. Its model `mnist` sorts images by brightness into ten classes.
"""

import io
import threading
from collections import Counter, defaultdict
from concurrent import futures
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from PIL import Image

from tests.official import to_array, to_tensor

CLASSES = [f"shade-{n}" for n in range(10)]
VERSIONS = (1, 2)


class Servicer:
    """PredictionService and ModelService, for a model under several names.

    mnist: two versions, typed fields. content: outputs in tensor_content. slow: takes
    a minute unless its caller cancels. busy: unavailable twice, then available. plain:
    a Keras export without our signatures. odd: outputs that no classifier has.
    """

    def __init__(self, official):
        self.official = official
        self.calls = Counter()
        self.ended = Counter()
        self.cancelled = Counter()
        self.batches = defaultdict(list)  # of each model
        self.labels = {"stable": 1}

    def __getattr__(self, method):
        # the stubs look up all methods of the services, the client calls four
        if not method[0].isupper():
            raise AttributeError(method)
        return None

    def Predict(self, request, context):
        spec = request.model_spec
        self.calls[spec.name] += 1
        if spec.name == "slow":
            gone = threading.Event()
            context.add_callback(gone.set)
            self.cancelled["slow"] += gone.wait(60)
            self.ended["slow"] += 1
        if spec.name == "busy" and self.calls["busy"] % 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "The batch queue is full")
        response = self.official.predict.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = self._version(spec, context)
        response.model_spec.signature_name = spec.signature_name
        for name, array in self._outputs(request, context).items():
            response.outputs[name].CopyFrom(self._tensor(array, spec.name))
        return response

    def _version(self, spec, context):
        if spec.name not in ("mnist", "content", "slow", "busy", "plain", "odd"):
            context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"Servable not found for request: Latest({spec.name})",
            )
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            if spec.version_label not in self.labels:
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"Unrecognized servable version label: {spec.version_label}",
                )
            return self.labels[spec.version_label]
        if choice == "version" and spec.version.value not in VERSIONS:
            context.abort(
                grpc.StatusCode.NOT_FOUND,
                "Servable not found for request: "
                f"Specific({spec.name}, {spec.version.value})",
            )
        return spec.version.value if choice == "version" else max(VERSIONS)

    def _outputs(self, request, context):
        signature = request.model_spec.signature_name
        inputs = {
            name: to_array(self.official, tensor)
            for name, tensor in request.inputs.items()
        }
        if request.model_spec.name == "odd":
            return {"output_0": np.zeros((1, 2), np.float32)}
        if signature == "serving_default":
            if inputs["images"].dtype != np.uint8:
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "Expects arg[0] to be uint8 but float is provided",
                )
            images = list(inputs["images"])
        elif signature in ("encoded", "classify") and (
            request.model_spec.name != "plain"
        ):
            images = [
                self._decode(data, signature, context)
                for data in inputs[
                    "image_bytes" if signature == "encoded" else "inputs"
                ]
            ]
        else:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{signature}" not found.',
            )
        self.batches[request.model_spec.name].append(len(images))
        scores = np.stack([probabilities(image) for image in images])
        if signature == "classify":
            classes = np.array([[name.encode() for name in CLASSES]] * len(images))
            return {"classes": classes.astype(object), "scores": scores}
        ids = scores.argmax(1)
        labels = np.array([CLASSES[n].encode() for n in ids], dtype=object)
        outputs = {
            "probabilities": scores,
            "class_id": ids.astype(np.int64),
            "label": labels,
        }
        wanted = request.output_filter or outputs
        return {name: outputs[name] for name in wanted}

    def _decode(self, data, signature, context):
        if signature == "classify":
            features = self.official.example.Example.FromString(data).features
            (data,) = features.feature["image/encoded"].bytes_list.value
        try:
            image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        except OSError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        if image.shape[0] == 13:  # stands for a check in a model's graph
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "13 rows bring bad luck")
        return image

    def _tensor(self, array, model):
        return to_tensor(self.official, array, as_content=model == "content")

    def Classify(self, request, context):
        """Scores by the feature `shade` of each example, or by its image."""
        spec = request.model_spec
        self.calls["Classify"] += 1
        version = self._version(spec, context)
        if spec.signature_name != "classify":
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"No signature was found with the name: {spec.signature_name}",
            )
        kind = request.input.WhichOneof("kind")
        examples = getattr(request.input, kind).examples
        response = self.official.classification.ClassificationResponse()
        response.model_spec.version.value = version
        for each in examples:
            example = self.official.example.Example()
            if kind == "example_list_with_context":
                example.MergeFrom(request.input.example_list_with_context.context)
            example.MergeFrom(each)
            feature = example.features.feature
            if "shade" in feature:
                floats = feature["shade"].float_list.value
                (shade,) = floats or feature["shade"].int64_list.value
                scores = probabilities(np.full((1, 1, 1), shade * 255 / 9))
            else:
                data = example.SerializeToString()
                scores = probabilities(self._decode(data, "classify", context))
            result = response.result.classifications.add()
            for label, score in zip(CLASSES, scores, strict=True):
                result.classes.add(label=label, score=score)
        return response

    def GetModelMetadata(self, request, context):
        self.calls["GetModelMetadata"] += 1
        version = self._version(request.model_spec, context)
        assert list(request.metadata_field) == ["signature_def"]
        signatures = self.official.metadata.SignatureDefMap()
        signature = signatures.signature_def["serving_default"]
        signature.method_name = "tensorflow/serving/predict"
        images = signature.inputs["images"]
        images.name, images.dtype = "images:0", self.official.types.DT_UINT8
        for size in (-1, 4, 4, 1):
            images.tensor_shape.dim.add(size=size)
        for name in ("class_id", "label", "probabilities"):
            output = signature.outputs[name]
            output.dtype = self.official.types.DT_STRING
            output.tensor_shape.unknown_rank = True
        if request.model_spec.name != "plain":
            for name, key in (("encoded", "image_bytes"), ("classify", "inputs")):
                texts = signatures.signature_def[name].inputs[key]
                texts.dtype = self.official.types.DT_STRING
                texts.tensor_shape.dim.add(size=-1)
        signatures.signature_def["__saved_model_init_op"].SetInParent()
        response = self.official.metadata.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = version
        response.metadata["signature_def"].Pack(signatures)
        return response

    def GetModelStatus(self, request, context):
        response = self.official.status.GetModelStatusResponse()
        for version, state in ((2, "AVAILABLE"), (1, "END")):
            wanted = request.model_spec.version.value
            if not request.model_spec.HasField("version") or wanted == version:
                each = response.model_version_status.add(version=version, state=state)
                if state == "END":
                    each.status.error_code = 5
                    each.status.error_message = "no variables"
        return response


def probabilities(image):
    """Ten scores of an image [H, W, C]: most at the class of its mean brightness."""
    scores = np.full(10, 0.01, np.float32)
    scores[round(float(image.mean()) / 255 * 9)] = 0.91
    return scores


@pytest.fixture(scope="session")
def server(official):
    """The running server: `.target` is its address, `.servicer` records the calls."""
    servicer = Servicer(official)
    server = grpc.server(
        futures.ThreadPoolExecutor(4),
        options=[("grpc.max_receive_message_length", -1)],
    )
    services = official.prediction_service, official.model_service
    services[0].add_PredictionServiceServicer_to_server(servicer, server)
    services[1].add_ModelServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield SimpleNamespace(target=f"127.0.0.1:{port}", servicer=servicer)
    server.stop(None).wait()


@pytest.fixture
def client(server):
    from fovea import Client

    with Client(server.target) as client:
        yield client


@pytest.fixture(scope="session")
def shade():
    """shade(n) -> a grey Pillow image that `mnist` puts into class n."""

    def make(n, mode="L", size=(28, 28)):
        value = round(n * 255 / 9)
        return Image.new("L", size, value).convert(mode)

    return make


@pytest.fixture(scope="session")
def save():
    """save(image, format) -> the bytes of an image file."""

    def to_bytes(image, format, **options):
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    return to_bytes


@pytest.fixture(scope="session")
def photo():
    """A smooth RGB picture, 50 rows of 70 pixels: neither side symmetric."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return small.resize((70, 50), Image.Resampling.BICUBIC)
