import tarfile
from io import BytesIO

import numpy as np
import pytest
from tiny import BUNDLES, picture

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader  # noqa: E402

from aeedge_runtime import ArgumentError, Codec, StreamError, torch_data  # noqa: E402
from aeedge_runtime.bundle.lookup import VARIABLE  # noqa: E402
from aeedge_runtime.coding.chunk_io import ChunkReader  # noqa: E402
from aeedge_runtime.torch_data import StreamDataset, webdataset_decoder  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def search_path(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(BUNDLES))


@pytest.fixture(scope="module")
def codec():
    return Codec.load(BUNDLES / "tiny-conv", threads=1)


@pytest.fixture
def folder(codec, tmp_path):
    """Two classes of two streams each, and a packed stream of both."""
    pixels = [picture(24, 32, 3, seed) for seed in range(4)]
    for index, image in enumerate(pixels):
        path = tmp_path / ("cat" if index < 2 else "dog") / f"{index}.aee"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(codec.compress(image))
    names = ["cat/4.png", "dog/5.png"]
    (tmp_path / "pack.aee").write_bytes(codec.compress_batch(pixels[:2], names=names))
    return tmp_path


def test_streams_and_packs_are_images_by_index(folder, codec):
    images = StreamDataset(folder)
    assert images.names == ["cat/0.aee", "cat/1.aee", "dog/2.aee", "dog/3.aee", "cat/4.png", "dog/5.png"]
    assert images[2].dtype == torch.uint8
    assert np.array_equal(images[2].permute(1, 2, 0).numpy(), codec.decompress(folder / "dog" / "2.aee"))
    packed = codec.decompress_batch(folder / "pack.aee")
    for number in (1, 0):
        assert np.array_equal(images[4 + number].permute(1, 2, 0).numpy(), packed[number])


def test_only_headers_are_read_until_an_image_is_asked_for(folder, monkeypatch):
    data = (folder / "pack.aee").read_bytes()
    with (folder / "pack.aee").open("r+b") as file:
        file.truncate(len(data) - 20)
    monkeypatch.setattr(torch_data, "stream_bytes", lambda path: pytest.fail("read a whole file"))
    images = StreamDataset(folder)
    assert images.names[4:] == ["cat/4.png", "dog/5.png"]
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, str(BUNDLES))
    with pytest.raises(StreamError):
        images[4]


def test_an_image_of_a_pack_decodes_its_chunk_once(codec, tmp_path, monkeypatch):
    monkeypatch.setattr("aeedge_runtime.stream.layout.CHUNK_SYMBOLS", 600)
    pixels = np.stack([picture(24, 32, 3, seed) for seed in range(15)])
    (tmp_path / "pack.aee").write_bytes(codec.compress_batch(pixels, stored_tiles=False))
    every, seen, decoding = codec.decompress_batch(tmp_path / "pack.aee"), [], ChunkReader._decoding
    monkeypatch.setattr(ChunkReader, "_decoding", lambda *args: seen.append(1) or decoding(*args))
    images = StreamDataset(tmp_path)
    for number in (14, 13, 12, 0, 1):
        assert np.array_equal(images[number].permute(1, 2, 0).numpy(), every[number])
    assert len(seen) == 2


def test_classes_are_folders_and_names_in_packs(folder):
    images = StreamDataset(folder, labels=True)
    assert images.classes == ["cat", "dog"]
    assert [label for _, label in images] == [0, 0, 1, 1, 0, 1]


def test_a_transform_sees_every_image(folder):
    images = StreamDataset(folder / "cat", transform=lambda image: image.float() / 255)
    assert images[0].dtype == torch.float32


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # on a single core
def test_workers_give_the_same_images(folder, start):
    images = StreamDataset(folder, labels=True)
    alone = torch.stack([image for image, _ in images])
    loader = DataLoader(
        images, batch_size=3, num_workers=2, multiprocessing_context=start, persistent_workers=True, timeout=120
    )
    for _ in range(2):
        batches = list(loader)
        assert torch.equal(torch.cat([batch for batch, _ in batches]), alone)
        assert torch.cat([label for _, label in batches]).tolist() == [0, 0, 1, 1, 0, 1]


def test_bad_folders_are_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArgumentError, match="empty"):
        StreamDataset(tmp_path / "empty")
    (folder / "alone.aee").write_bytes((folder / "cat" / "0.aee").read_bytes())
    with pytest.raises(ArgumentError, match="alone"):
        StreamDataset(folder, labels=True)
    (folder / "alone.aee").write_bytes(b"nothing")
    with pytest.raises(StreamError):
        StreamDataset(folder)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the archive open
def test_webdataset_decodes_members(folder, codec):
    webdataset = pytest.importorskip("webdataset")
    archive = folder / "shard.tar"
    data = (folder / "cat" / "0.aee").read_bytes()
    with tarfile.open(archive, "w") as tar:
        for name, content in (("a.aee", data), ("a.cls", b"7")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
    (sample,) = webdataset.WebDataset(archive.as_uri(), shardshuffle=False).decode(webdataset_decoder())
    assert np.array_equal(sample["aee"].permute(1, 2, 0).numpy(), codec.decompress(data))
    assert sample["cls"] == 7


def test_the_decoder_leaves_other_members_alone():
    assert webdataset_decoder()("a.png", b"") is None
