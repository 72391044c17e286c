"""The REST gateway: TF Serving's HTTP API over the same models as the gRPC services."""
