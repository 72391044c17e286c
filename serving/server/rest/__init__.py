"""The REST gateway: TensorFlow Serving's HTTP API to the gRPC services' models."""
