"""TensorFlow Serving's protocol: the messages, a client, a server and a web page."""
