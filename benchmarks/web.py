"""How long `fovea web` takes to start and to respond, and what its page loads.

    fovea export pretrained:mnist --to exported/digits
    fovea serve --model_name digits --model_base_path $PWD/exported/digits --port 8500
    python benchmarks/web.py --model digits --runs 5 --calls 200

`--gradio PYTHON` measures benchmarks/web_gradio.py instead, by an interpreter that has
Gradio. Needs Chromium and its driver.
"""

import argparse
import io
import json
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image, ImageDraw

from fovea import Client
from fovea.serving.web.inputs import from_drawing
from fovea.serving.web.servable import Servable, picture_shape

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="127.0.0.1:8500")
    parser.add_argument("--model", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--gradio", metavar="PYTHON")
    args = parser.parse_args()
    starts = []
    for run in range(args.runs):
        port = free_port()
        started = time.perf_counter()
        process = subprocess.Popen(command(args, port), cwd=ROOT)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url)
            starts.append(time.perf_counter() - started)
            if run == 0:
                print_page(url)
                print_answers(args, url)
        finally:
            process.terminate()
            process.wait(30)
    print(f"start to first page: {statistics.median(starts):.2f} s (median)")


def command(args: argparse.Namespace, port: int) -> list[str]:
    if args.gradio:
        script = str(Path(__file__).with_name("web_gradio.py"))
        return [args.gradio, script, args.server, args.model, str(port)]
    words = ["--server", args.server, "--model", args.model, "--port", str(port)]
    return [sys.executable, "-m", "fovea", "web", *words]


def print_page(url: str) -> None:
    """Load the page with an empty cache, and count what that takes."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    options.add_argument("--headless=new")
    options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as browser:
        browser.get(url)
        time.sleep(5)
        events = [
            json.loads(entry["message"])["message"]
            for entry in browser.get_log("performance")
        ]
    requested = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    received = sum(
        event["params"]["encodedDataLength"]
        for event in events
        if event["method"] == "Network.loadingFinished"
    )
    web = [each for each in requested if each.startswith("http")]
    others = {urlsplit(each).hostname for each in web} - {"127.0.0.1"}
    print(f"page: {len(web)} requests, {received / 1000:,.0f} kB")
    print(f"requests to other hosts: {', '.join(sorted(others)) or 'none'}")


def print_answers(args: argparse.Namespace, url: str) -> None:
    """Ask about one drawing many times, and compare with the bare gRPC call."""
    png = seven()
    post = gradio_asker(url, png) if args.gradio else asker(url, args.model, png)
    print(f"a drawing, over HTTP: {median_ms(post, args.calls):.1f} ms (median)")
    with Client(args.server) as client:
        metadata = client.metadata(args.model)
        servable = Servable(
            args.model, 1, picture_shape(metadata), (), frozenset(metadata.signatures)
        )
        images = from_drawing(png, servable).pixels[None]

        def call() -> None:
            client.predict({"images": images}, model=args.model)

        print(f"its gRPC call alone: {median_ms(call, args.calls):.1f} ms (median)")


def asker(url: str, model: str, png: bytes):
    def post() -> None:
        request = urllib.request.Request(
            f"{url}/api/models/{model}/drawing", png, method="POST"
        )
        assert json.load(urllib.request.urlopen(request))["classes"][0]["label"] == "7"

    return post


def gradio_asker(url: str, png: bytes):
    """As Gradio's own page does: upload, join the queue, read the stream of events."""
    head = 'Content-Disposition: form-data; name="files"; filename="a.png"'
    part = f"--cut\r\n{head}\r\nContent-Type: image/png\r\n\r\n".encode()
    form = {"Content-Type": "multipart/form-data; boundary=cut"}

    def send(path: str, body: bytes, kind: dict) -> object:
        request = urllib.request.Request(f"{url}/gradio_api/{path}", body, kind)
        return json.load(urllib.request.urlopen(request))

    def post() -> None:
        (path,) = send("upload", part + png + b"\r\n--cut--\r\n", form)
        body = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}
        kind = {"Content-Type": "application/json"}
        event = send("call/answer", json.dumps(body).encode(), kind)["event_id"]
        stream = urllib.request.urlopen(f"{url}/gradio_api/call/answer/{event}")
        text = stream.read().decode()
        assert '"label": "7"' in text, text

    return post


def median_ms(call, calls: int) -> float:
    times = []
    for _ in range(calls + 5):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times[5:])


def seven() -> bytes:
    image = Image.new("L", (280, 280))
    ImageDraw.Draw(image).line(
        [(75, 60), (205, 60), (125, 230)], fill=255, width=22, joint="curve"
    )
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url) as page:
                page.read()
            return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


if __name__ == "__main__":
    main()
