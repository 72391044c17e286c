"""The embedded model server: TF Serving's protocol, flags and behaviour from pip.

Data flows one way: flags -> version source (disk to aspired versions) -> manager
(aspired to loaded, ref-counted) -> runner (one loaded SavedModel) -> gRPC services.

    python -m fovea.serving.server --model_name mnist --model_base_path
    /abs/exported/mnist
"""
