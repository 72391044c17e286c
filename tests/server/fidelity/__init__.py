"""Requests with the answers of tensorflow_model_server, and who replays them.

README.md says how to replay them against any server.
"""
