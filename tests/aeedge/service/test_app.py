import asyncio
import threading
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from aeedge_runtime import Codec

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

from aeedge.service.app import STREAM_TYPE, create_app  # noqa: E402
from aeedge.service.limits import ServiceLimits  # noqa: E402


@pytest.fixture(scope="module")
def codec(conv):
    return Codec.load(conv, threads=1)


@pytest.fixture(scope="module")
def png():
    file = BytesIO()
    Image.radial_gradient("L").resize((56, 40)).convert("RGB").save(file, "PNG")
    return file.getvalue()


def client_of(app):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service")


def ask(app, *requests):
    """Answers to requests (method, url, body), sent at once."""

    async def run():
        async with client_of(app) as client:
            return await asyncio.gather(*(client.request(method, url, content=body) for method, url, body in requests))

    return asyncio.run(run())


def test_an_image_becomes_the_codecs_stream_and_comes_back(codec, png):
    (answer,) = ask(create_app(codec), ("POST", "/compress?quality=70", png))
    assert (answer.status_code, answer.headers["content-type"]) == (200, STREAM_TYPE)
    assert answer.content == codec.compress(png, 70)
    assert answer.headers["x-aeedge-quality"] == "70"
    for form, kind in (("png", "PNG"), ("webp", "WEBP"), ("jpg", "JPEG")):
        (found,) = ask(create_app(codec), ("POST", f"/decompress?format={form}", answer.content))
        with Image.open(BytesIO(found.content)) as image:
            assert (image.format, image.size) == (kind, (56, 40))
            if kind != "JPEG":
                assert np.array_equal(np.asarray(image), codec.decompress(answer.content))


def test_rates_and_images_of_packs_can_be_asked_for(codec, png):
    app = create_app(codec)
    exact, image, missing = ask(
        app,
        ("POST", "/compress?max_error=0", png),
        ("POST", "/decompress?index=1", codec.compress_batch([png, png])),
        ("POST", "/decompress?index=2", codec.compress_batch([png, png])),
    )
    assert exact.content == codec.compress(png, max_error=0)
    assert (image.status_code, missing.status_code) == (200, 422)


@pytest.mark.parametrize(
    ("url", "body", "status", "kind"),
    [
        ("/compress?quality=0", "png", 422, "ArgumentError"),
        ("/compress?quality=50&max_bytes=9", "png", 422, "ArgumentError"),
        ("/compress?max_bytes=3", "png", 422, "TargetNotReachedError"),
        ("/compress", b"", 422, "RefusedError"),
        ("/compress", b"not an image", 422, "ImageError"),
        ("/decompress", b"not a stream", 422, "StreamError"),
        ("/decompress?format=gif", b"x", 422, "ArgumentError"),
        ("/compress", bytes(3000), 413, "RefusedError"),
    ],
)
def test_bad_requests_get_one_line_and_their_status(codec, png, url, body, status, kind):
    app = create_app(codec, ServiceLimits(body_bytes=2500))
    (answer,) = ask(app, ("POST", url, png if body == "png" else body))
    assert (answer.status_code, answer.json()["kind"]) == (status, kind)
    assert "\n" not in answer.json()["error"]


def test_too_many_pixels_and_a_stream_of_another_model_are_refused(codec, png, dense):
    app = create_app(codec, ServiceLimits(pixels=1000))
    other = Codec.load(dense, threads=1).compress(Image.new("L", (28, 28)), stored_tiles=False)
    large, foreign = ask(app, ("POST", "/compress", png), ("POST", "/decompress", other))
    assert (large.status_code, large.json()["kind"]) == (413, "LimitError")
    assert (foreign.status_code, foreign.json()["kind"]) == (422, "WrongModelError")


class Waiting:
    """A codec whose calls wait until they are let go."""

    def __init__(self, codec):
        self.bundle, self.options = codec.bundle, codec.options
        self.go = threading.Event()
        self.calls = 0

    def compress(self, body, **options):
        self.calls += 1
        assert self.go.wait(30)
        raise AssertionError("the answer is not looked at")


def test_a_full_service_and_a_greedy_client_are_turned_away(codec, png):
    waiting = Waiting(codec)
    app = create_app(waiting, ServiceLimits(concurrent=1, queue=1, per_client=8, seconds=0.5))
    answers = ask(app, *[("POST", "/compress", png)] * 4)
    waiting.go.set()
    assert sorted(answer.status_code for answer in answers) == [503] * 4  # two wait too long, two are not admitted
    assert sum(answer.json()["kind"] == "RefusedError" for answer in answers) == 2
    assert all(answer.headers["retry-after"] for answer in answers)
    assert waiting.calls <= 2

    waiting = Waiting(codec)
    app = create_app(waiting, ServiceLimits(concurrent=4, queue=4, per_client=2, seconds=0.5))
    answers = ask(app, *[("POST", "/compress", png)] * 3)
    waiting.go.set()
    assert sorted(answer.status_code for answer in answers) == [429, 503, 503]


def test_a_slow_body_is_ended(codec):
    async def drip():
        for _ in range(20):
            yield b"x"
            await asyncio.sleep(0.1)

    async def run():
        async with client_of(create_app(codec, ServiceLimits(seconds=0.3))) as client:
            return await client.post("/compress", content=drip())

    assert asyncio.run(run()).status_code == 408


def test_state_is_shown(codec, png):
    app = create_app(codec)
    ask(app, ("POST", "/compress", png))
    info, health, metrics = ask(app, ("GET", "/info", b""), ("GET", "/healthz", b""), ("GET", "/metrics", b""))
    assert info.json()["stream_id"] == codec.bundle.manifest.stream_id
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert 'aeedge_requests_total{endpoint="/compress",status="200"} 1.0' in metrics.text
    app.state.service.admission.closing = True
    health, answer = ask(app, ("GET", "/healthz", b""), ("POST", "/compress", png))
    assert (health.status_code, answer.status_code) == (503, 503)


def test_notices_come_as_a_header(codec):
    file = BytesIO()
    Image.new("I;16", (24, 24), 257).save(file, "PNG")
    (answer,) = ask(create_app(codec), ("POST", "/compress", file.getvalue()))
    assert answer.status_code == 200
    assert answer.headers["x-aeedge-warning"].isascii()


def test_the_routes_are_described(codec):
    (answer,) = ask(create_app(codec), ("GET", "/openapi.json", b""))
    assert {"/compress", "/decompress", "/info", "/healthz", "/metrics"} <= answer.json()["paths"].keys()


def test_a_preview_is_an_eighth_of_the_image(codec, png):
    app = create_app(codec)
    (stream,) = ask(app, ("POST", "/compress", png))
    (preview,) = ask(app, ("POST", "/preview", stream.content))
    assert (preview.headers["content-type"], Image.open(BytesIO(preview.content)).size) == ("image/webp", (7, 5))
