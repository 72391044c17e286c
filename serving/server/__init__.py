"""The embedded model server: TensorFlow Serving's protocol, flags and behaviour.

Versions: flags and config -> version source (disk -> aspired versions) -> manager
(aspired -> loaded, reference-counted) -> session runner (one loaded SavedModel).
Requests: gRPC or REST -> admission -> inference on arrays -> gRPC or REST.

    python -m fovea.serving.server --model_name mnist --model_base_path
    /abs/exported/mnist
"""
