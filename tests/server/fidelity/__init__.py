"""Requests with the responses of tensorflow_model_server, and their replay.

README.md describes how to replay them against any server.
"""
