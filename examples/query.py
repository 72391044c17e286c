"""Classify image files by a model on a server.

python examples/query.py SERVER MODEL IMAGE...

SERVER is HOST:PORT of TensorFlow Serving or of `fovea serve`.
"""

import sys

from fovea import Client, ClientError


def main(server: str, model: str, *images: str) -> None:
    with Client(server) as client:
        # Each image gets a prediction or an error; one bad file costs no other.
        for image, outcome in zip(images, client.predict_each(images, model=model)):
            if isinstance(outcome, ClientError):
                print(f"{image}: {outcome}", file=sys.stderr)
            else:
                print(f"{image}: {outcome.label} ({outcome.probability:.3f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
