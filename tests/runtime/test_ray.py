import io

import numpy as np
import pytest
from PIL import Image
from tiny import BUNDLES

from aeedge_runtime import ArgumentError, Codec, ModelNotFoundError
from aeedge_runtime.ray import CompressImages, DecompressStreams

CONV = str(BUNDLES / "tiny-conv")


def image_file(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def column(values: list[bytes]) -> np.ndarray:
    made = np.empty(len(values), object)
    made[:] = values
    return made


IMAGES = [image_file(seed) for seed in range(3)]


def test_images_become_the_streams_of_the_codec_and_errors_are_rows():
    batch = {"path": column(["a", "b", "c"]), "bytes": column([IMAGES[0], b"no image", IMAGES[2]])}
    made = CompressImages(CONV, quality=60)(batch)
    codec = Codec.load(CONV)
    assert made.keys() == {"path", "stream", "error"}
    assert made["stream"].tolist() == [codec.compress(IMAGES[0], 60), None, codec.compress(IMAGES[2], 60)]
    assert [error is None for error in made["error"]] == [True, False, True]
    back = DecompressStreams(CONV)({"stream": column([made["stream"][0], b"no stream"])})
    with Image.open(io.BytesIO(back["bytes"][0])) as image:
        assert np.array_equal(np.asarray(image), codec.decompress(made["stream"][0]))
    assert back["bytes"][1] is None
    assert "stream" in back["error"][1]


def test_the_bundle_of_a_stream_is_found_by_its_id(monkeypatch):
    stream = Codec.load(CONV).compress(IMAGES[0], stored_tiles=False)
    assert DecompressStreams()({"stream": column([stream])})["bytes"][0] is None
    monkeypatch.setenv("AEEDGE_BUNDLES", CONV)
    assert DecompressStreams(suffix=".webp")({"stream": column([stream])})["bytes"][0][:4] == b"RIFF"


def test_what_concerns_all_rows_is_raised():
    with pytest.raises(ArgumentError):
        DecompressStreams(suffix=".gif")
    with pytest.raises(ModelNotFoundError):
        CompressImages("/nothing/here")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what Ray does at its start is its own affair
def test_map_batches_of_ray_data(monkeypatch):
    ray = pytest.importorskip("ray")
    data = pytest.importorskip("ray.data")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        rows = [{"path": str(number), "bytes": value} for number, value in enumerate([*IMAGES, b"no image"])]
        options = {"batch_size": 2, "compute": data.ActorPoolStrategy(size=1)}
        streams = data.from_items(rows).map_batches(CompressImages, fn_constructor_kwargs={"bundle": CONV}, **options)
        found = {row["path"]: row for row in streams.take_all()}
        codec = Codec.load(CONV)
        assert [found[str(number)]["stream"] for number in range(3)] == [codec.compress(value) for value in IMAGES]
        assert (found["3"]["stream"], found["0"]["error"]) == (None, None)
        assert "not an image" in found["3"]["error"]
    finally:
        ray.shutdown()
