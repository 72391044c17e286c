"""The gRPC client; `from fovea import Client` is its public face.

It needs grpcio, protobuf, NumPy and Pillow, and nothing of TensorFlow.
"""
