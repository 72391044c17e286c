"""The calls that the client makes: what is sent, and how responses are read."""
