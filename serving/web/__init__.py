"""`fovea web`: a page to classify drawings and images, and to explain the predictions.

It uses `fovea.serving.client` as any other program would: all results come over gRPC.
"""
