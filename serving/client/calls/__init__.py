"""One call from arguments to result: requests, responses, errors, two drivers."""
