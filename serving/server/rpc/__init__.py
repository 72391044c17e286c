"""The gRPC interface: services, threads, health, reflection, TLS, draining."""
