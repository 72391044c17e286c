"""TensorFlow Serving's protocol without TensorFlow: messages, dtypes, tensors."""
