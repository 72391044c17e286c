"""The page's HTTP API and its command, with a server and a trained model."""

import base64
import io
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fovea import Client, cli

pytestmark = pytest.mark.slow

SEVEN = [(75, 60), (205, 60), (125, 230)]


def png(image, format="PNG"):
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def drawn(points=SEVEN, mode="L"):
    image = Image.new("L", (280, 280))
    ImageDraw.Draw(image).line(points, fill=255, width=22, joint="curve")
    return image.convert(mode)


def plane(packed):
    values = np.frombuffer(base64.b64decode(packed["bytes"]), np.uint8)
    shape = packed["height"], packed["width"], packed["depth"]
    return values.reshape(shape).squeeze()


@pytest.fixture(scope="module")
def response(page):
    """The page's response to a drawn seven."""
    status, _, found = page.request("POST", "/api/models/digits/drawing", drawn_seven())
    assert status == 200
    return found


def drawn_seven():
    return png(drawn())


def test_a_drawing_is_recognised(response):
    assert response["classes"][0]["label"] == "7"
    assert response["classes"][0]["probability"] > 0.7
    assert len(response["classes"]) == 5
    assert response["model"]["name"] == "digits"
    assert response["model"]["version"] == 1
    assert response["grpc_ms"] > 0


def test_the_response_agrees_with_the_server_on_the_image_shown(response, target):
    given = plane(response["image"])
    assert given.shape == (28, 28)
    images = given[None, ..., None]
    with Client(target) as client:
        explained = client.predict(
            {"images": images}, model="digits", signature="explain"
        ).outputs
        maps = client.predict(
            {"images": images}, model="digits", signature="feature_maps"
        ).outputs["maps"][0]
    best = explained["probabilities"][0].max()
    assert response["classes"][0]["probability"] == pytest.approx(best, abs=1e-5)
    heat = plane(response["heatmap"])
    np.testing.assert_allclose(heat / 255, explained["heatmap"][0], atol=1 / 254)
    shown = response["maps"]
    assert (shown["layer"], shown["count"]) == ("whitening", 8)
    values = (plane(shown).astype(float) - 128) / 127 * shown["largest"]
    np.testing.assert_allclose(values, maps, atol=shown["largest"] / 200)


def test_another_class_can_be_explained(page, response, target):
    path = "/api/models/digits/drawing?class=3"
    _, _, other = page.request("POST", path, drawn_seven())
    assert (response["heat_class"], other["heat_class"]) == ("7", "3")
    assert other["classes"][0]["label"] == "7"
    assert other["heatmap"] != response["heatmap"]


def test_a_model_without_explanations_is_supported(page, response):
    path = "/api/models/plain/drawing?class=3"
    _, _, plain = page.request("POST", path, drawn_seven())
    assert (plain["heatmap"], plain["maps"]) == (None, None)
    assert not plain["model"]["explains_any_class"]
    best, expected = plain["classes"][0], response["classes"][0]
    assert best["probability"] == pytest.approx(expected["probability"], abs=1e-5)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_files_of_any_format_are_decoded_by_the_model(page, target, format):
    # an image like MNIST's, but larger and in colour
    small = Image.fromarray(
        plane(
            page.request("POST", "/api/models/plain/drawing", drawn_seven())[2]["image"]
        )
    )
    data = png(small.resize((84, 84)).convert("RGB"), format)
    status, _, found = page.request("POST", "/api/models/digits/file", data)
    assert status == 200
    assert found["classes"][0]["label"] == "7"
    with Client(target) as client:
        (expected,) = client.predict([data], model="digits")
    best = found["classes"][0]["probability"]
    assert best == pytest.approx(expected.probability, abs=1e-5)
    again = page.request(
        "POST", "/api/models/plain/file", png(Image.fromarray(plane(found["image"])))
    )[2]
    assert best == pytest.approx(again["classes"][0]["probability"], abs=0.02)


def test_a_digit_is_cut_out_of_a_photograph(page):
    photo = Image.new("RGB", (900, 600), (214, 206, 190))
    points = [(x + 500, y + 200) for x, y in SEVEN]
    ImageDraw.Draw(photo).line(points, fill=(40, 40, 70), width=18, joint="curve")
    _, _, found = page.request("POST", "/api/models/digits/photo", png(photo, "JPEG"))
    assert found["classes"][0]["label"] == "7"
    assert plane(found["image"])[0].max() == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("nobody/drawing", drawn_seven(), 404, "no model 'nobody'"),
        ("digits/drawing", png(Image.new("L", (280, 280))), 422, "it is empty"),
        ("digits/drawing", b"", 422, "is empty"),
        ("digits/file", b"GIF89a, or so it says", 422, "is"),
        ("digits/file", drawn_seven()[:200], 422, "truncated"),
        ("digits/photo", png(Image.new("RGB", (9, 9), "white")), 422, "one colour"),
        ("digits/drawing?class=ten", drawn_seven(), 422, "Received: class=ten"),
        ("digits/drawing?class=10", drawn_seven(), 422, "rejected the request"),
        ("digits/song", drawn_seven(), 404, "Received: song"),
        ("digits/file", bytes(20 * 2**20 + 1), 413, "up to 20 MB"),
    ],
)
def test_errors_are_reported_in_one_sentence(page, path, body, status, message):
    found_status, _, found = page.request("POST", f"/api/models/{path}", body)
    assert (found_status, list(found)) == (status, ["error"])
    assert message in found["error"]
    assert "\n" not in found["error"]


def test_models_are_listed_and_described(page, target):
    _, _, listed = page.request("GET", "/api/models")
    assert listed == {"server": target, "models": ["digits", "plain"]}
    _, _, found = page.request("GET", "/api/models/plain")
    assert found == {
        "name": "plain",
        "version": 1,
        "height": 28,
        "width": 28,
        "grey": True,
        "classes": 10,
        "explains_any_class": False,
    }


def test_the_signatures_of_a_new_version_are_used(page, repository):
    path = "/api/models/changing/drawing"
    _, _, first = page.request("POST", path, drawn_seven())
    assert (first["model"]["version"], first["maps"]["layer"]) == (1, "whitening")
    shutil.copytree(repository / "plain" / "1", repository / "copy")
    (repository / "copy").rename(repository / "changing" / "2")
    deadline = time.monotonic() + 60
    while True:
        status, _, second = page.request("POST", path, drawn_seven())
        assert status == 200
        if second["model"]["version"] == 2:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (second["heatmap"], second["maps"]) == (None, None)


def test_other_hosts_and_origins_are_rejected(page):
    port = page.url.rpartition(":")[2]
    for host in ("rebound.example", f"rebound.example:{port}", "", "127.0.0.1.example"):
        status, _, found = page.request("GET", "/api/models", Host=host)
        assert status in (400, 403), host
    status, _, found = page.request(
        "POST",
        "/api/models/digits/drawing",
        drawn_seven(),
        Origin="http://evil.example",
    )
    assert status == 403
    assert "evil.example" in found["error"]
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", "[::1]:80"):
        assert page.request("GET", "/api/models", Host=host)[0] == 200
    own = page.request(
        "POST", "/api/models/digits/drawing", drawn_seven(), Origin=page.url
    )
    assert own[0] == 200


def test_every_response_has_the_security_headers(page):
    for path in ("/", "/static/main.js", "/static/page.css", "/api/models", "/none"):
        _, headers, _ = page.request("GET", path)
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_s_files_name_no_other_host():
    static = Path(cli.__file__).parents[1] / "serving" / "web" / "static"
    files = list(static.iterdir())
    assert len(files) > 5
    for file in files:
        text = file.read_text(encoding="utf-8")
        namespace = 'xmlns="http://www.w3.org/2000/svg"'
        lines = text.replace(namespace, "").splitlines()
        code = "".join(line.partition("// ")[0] for line in lines)
        assert "//" not in code, file


def test_a_missing_server_is_reported_in_one_sentence(start_page):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with start_page(f"127.0.0.1:{free.getsockname()[1]}") as page:
            status, _, found = page.request("GET", "/api/models/digits")
    assert status == 503
    assert found["error"].startswith("No server responds at 127.0.0.1")


def test_ctrl_c_ends_it_without_a_traceback(target, start_page):
    with start_page(target, end=signal.SIGINT) as page:
        assert page.request("GET", "/api/models")[2]["models"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--server", "nowhere"], "Received: 'nowhere'"),
        (["--port", "70000"], "Received: port=70000"),
        (["--ca", "/no/such.pem"], "/no/such.pem cannot be used"),
        (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
    ],
)
def test_invalid_arguments_are_reported_in_one_sentence(words, message, capsys):
    assert cli.main(["web", *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fovea: error: ")
    assert error.count("\n") == 1
    assert message in error


def test_a_port_in_use_is_reported_in_one_sentence(page, capsys):
    port = page.url.rpartition(":")[2]
    assert cli.main(["web", "--port", port]) == 1
    error = capsys.readouterr().err
    assert "in use; --port chooses another" in error
    assert error.count("\n") == 1


def test_the_page_needs_no_tensorflow():
    code = "from fovea.serving.web import app, command; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(cli.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"tensorflow", "keras", "models", "training"})
