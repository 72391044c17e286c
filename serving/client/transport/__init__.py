"""The connection to a server: addresses, channels, TLS and tokens, retries."""
