"""What `fovea web` is measured beside: the least Gradio that draws and classifies.

python web_gradio.py SERVER MODEL PORT, with gradio, grpcio and protobuf installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import gradio

from fovea import Client
from fovea.serving.web.inputs import from_drawing
from fovea.serving.web.servable import Servable, picture_shape


def main() -> None:
    server, model, port = sys.argv[1:]
    client = Client(server)
    metadata = client.metadata(model)
    labels = client.labels(model)
    servable = Servable(
        model, metadata.version, picture_shape(metadata), labels, frozenset()
    )

    def answer(path: "str | dict") -> dict:
        # The sketch pad gives layers; the benchmark a file.
        path = path["composite"] if isinstance(path, dict) else path
        prepared = from_drawing(Path(path).read_bytes(), servable)
        result = client.predict({"images": prepared.pixels[None]}, model=model)
        probabilities = result.outputs["probabilities"][0]
        return dict(zip(labels, map(float, probabilities), strict=True))

    pad = gradio.Sketchpad(type="filepath", canvas_size=(280, 280))
    with gradio.Blocks(analytics_enabled=False) as page:
        shown = gradio.Label(num_top_classes=5)
        pad.render()
        pad.change(answer, pad, shown, api_name="draw")
        file = gradio.Image(type="filepath", visible=False)
        file.upload(answer, file, shown, api_name="answer")
    page.launch(server_port=int(port), quiet=True, share=False)


if __name__ == "__main__":
    main()
