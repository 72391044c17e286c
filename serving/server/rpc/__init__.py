"""The gRPC side: services, threads, health, reflection, TLS, draining."""
