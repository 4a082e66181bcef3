import json
import os
import shutil
import stat
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import BUNDLES, NAMES, change_arrays, copy_of, files_of, picture, rehash, zip_of

from aeedge_runtime import ArgumentError, Bundle, BundleError, Codec, ModelNotFoundError
from aeedge_runtime.bundle import bundle as bundle_module
from aeedge_runtime.bundle.tables import read_array, read_arrays
from aeedge_runtime.inference import session_pool
from aeedge_runtime.inference.session import Session, open_session


@pytest.mark.parametrize("name", NAMES)
def test_folder_zip_and_bytes_are_one_bundle(name: str, tmp_path) -> None:
    data = zip_of(files_of(BUNDLES / name))
    (tmp_path / "b.aeb").write_bytes(data)
    pixels = picture(9, 9, 1)
    streams = set()
    for place in (BUNDLES / name, str(BUNDLES / name), tmp_path / "b.aeb", data):
        bundle = Bundle.load(place)
        assert bundle.hash == Bundle.load(BUNDLES / name).hash
        assert bundle.manifest.name == name
        gray = bundle.manifest.image.channels == 1
        streams.add(Codec.load(bundle, threads=1).compress(pixels if gray else np.repeat(pixels, 3, axis=2)))
    assert len(streams) == 1


def test_shipped_names(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(bundle_module, "SHIPPED", tmp_path / "bundles")
    monkeypatch.chdir(tmp_path)
    assert bundle_module.shipped_bundles() == []
    with pytest.raises(ModelNotFoundError, match=r"no bundle named 'photo'.*found: none"):
        Bundle.load()
    copy_of("tiny-conv", tmp_path / "bundles" / "photo")
    (tmp_path / "bundles" / "other.aeb").write_bytes(zip_of(files_of(BUNDLES / "tiny-vae")))
    assert bundle_module.shipped_bundles() == ["other", "photo"]
    assert Bundle.load().manifest.name == Bundle.load("photo").manifest.name == "tiny-conv"
    assert Bundle.load("other").manifest.name == "tiny-vae"
    (tmp_path / "photo").mkdir()  # pictures, not a bundle: the shipped one is meant
    assert Bundle.load("photo").manifest.name == "tiny-conv"
    with pytest.raises(ModelNotFoundError, match="found: other, photo"):
        Bundle.load("nothing")


def test_places_that_hold_no_bundle(tmp_path) -> None:
    with pytest.raises(ModelNotFoundError, match="no bundle at"):
        Bundle.load(tmp_path / "missing.aeb")
    with pytest.raises(ModelNotFoundError, match=r"holds no manifest\.json"):
        Bundle.load(tmp_path)
    (tmp_path / "x.aeb").write_bytes(b"PK nothing")
    with pytest.raises(BundleError, match=r"bundle .*x\.aeb: not a zip"):
        Bundle.load(tmp_path / "x.aeb")
    with pytest.raises(ArgumentError, match="empty string"):
        Bundle.load("")
    with pytest.raises(BundleError, match="not a zip"):
        Bundle.load(b"")
    with pytest.raises(ArgumentError, match="found int"):
        Bundle.load(3)  # type: ignore[arg-type]


def test_a_folder_that_is_no_bundle_is_said_to_be_there(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r1").mkdir()
    with pytest.raises(ModelNotFoundError, match=r"the folder .*r1 holds no manifest\.json.*`aeedge export .*r1 -o"):
        Bundle.load("r1")


@pytest.mark.parametrize("data", [b"", b"{}"])
def test_a_wrong_manifest_is_named_with_its_place(tmp_path, data: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError, match=f"bundle {tmp_path}: manifest"):
        Bundle.load(tmp_path)
    with pytest.raises(BundleError, match="bundle in memory: manifest"):
        Bundle.load(zip_of({"manifest.json": data}))


@pytest.mark.parametrize("place", ["a" * 5000, "/" + "a" * 5000, "a\0b", "/a\0b"])
def test_places_that_no_bundle_can_have(place: str) -> None:
    with pytest.raises(ModelNotFoundError):
        Bundle.load(place)


def test_a_place_that_may_not_be_looked_into(tmp_path, monkeypatch) -> None:
    def deny(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_dir", deny)
    with pytest.raises(ModelNotFoundError, match="Permission denied"):
        Bundle.load(tmp_path / "b")


def test_an_entry_that_grew_is_refused() -> None:
    files = files_of(BUNDLES / "tiny-conv")
    with pytest.raises(BundleError, match=r"the zip holds no encoder.onnx of at most \d+ bytes"):
        Bundle.load(zip_of(files | {"encoder.onnx": files["encoder.onnx"] + b"x"}))


def test_a_file_that_grew_is_told_as_such(tmp_path) -> None:
    folder = copy_of("tiny-conv", tmp_path / "b")
    with (folder / "encoder.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=r"encoder.onnx cannot be read \(more than \d+ bytes\)"):
        Bundle.load(folder)


def test_a_fifo_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "b.aeb")
    with pytest.raises(BundleError, match="neither a folder nor a regular file"):
        Bundle.load(tmp_path / "b.aeb")
    folder = copy_of("tiny-conv", tmp_path / "b")
    for name in ("encoder.onnx", "manifest.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(BundleError, match="not a regular file"):
            Bundle.load(folder)


@pytest.mark.parametrize("name", NAMES)
def test_every_flipped_file_is_refused(name: str, tmp_path) -> None:
    folder = copy_of(name, tmp_path / "b")
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name == "manifest.json":
            continue
        data = path.read_bytes()
        damaged = bytearray(data)
        damaged[len(data) // 2] ^= 1
        for bad in (bytes(damaged), data[:-1], data + b"x", b""):
            path.write_bytes(bad)
            with pytest.raises(BundleError, match=path.name.replace(".", r"\.")):
                Bundle.load(folder)
        path.unlink()
        with pytest.raises(BundleError, match="cannot be read"):
            Bundle.load(folder)
        path.mkdir()
        with pytest.raises(BundleError):
            Bundle.load(folder)
        path.rmdir()
        path.write_bytes(data)
    Bundle.load(folder)


def test_files_are_checked_again_before_use(tmp_path) -> None:
    folder = copy_of("tiny-conv", tmp_path / "b")
    codec = Codec.load(folder)
    damaged = bytearray((folder / "encoder.onnx").read_bytes())
    damaged[-9] ^= 1
    (folder / "encoder.onnx").write_bytes(damaged)
    with pytest.raises(BundleError, match="sha256 differs"):
        codec.compress(picture(8, 8, 3))


def test_unlisted_names_are_not_read() -> None:
    with pytest.raises(BundleError, match="holds no secret"):
        Bundle.load(BUNDLES / "tiny-conv").read("secret")


def entry(name: str, mode: int = stat.S_IFREG | 0o644, method: int = zipfile.ZIP_STORED) -> bytes:
    """The zip of a bundle with one more entry."""
    buffer = BytesIO(zip_of(files_of(BUNDLES / "tiny-conv")))
    with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a doubled name is the point of one case
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, b"0" * 50, method)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (entry("../evil"), "name that is not allowed"),
        (entry("/etc/evil"), "name that is not allowed"),
        (entry("golden/../../evil"), "name that is not allowed"),
        (entry("golden\\evil"), "name that is not allowed"),
        (entry("deep/evil"), "name that is not allowed"),
        (entry("golden/"), "name that is not allowed"),
        (entry("link", stat.S_IFLNK | 0o777), "not a regular file"),
        (entry("fifo", stat.S_IFIFO | 0o777), "not a regular file"),
        (entry("encoder.onnx"), "occurs twice"),
        (entry("bomb", method=zipfile.ZIP_DEFLATED), "is compressed"),
        (entry("extra"), "manifest does not list"),
        (zip_of(files_of(BUNDLES / "tiny-conv"), zipfile.ZIP_DEFLATED), "is compressed"),
        (zip_of({"model/manifest.json": b"{}"}), "name that is not allowed"),
        (zip_of({"a": b""}), r"holds no manifest\.json"),
    ],
)
def test_forged_zips_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Bundle.load(data)


def directory(change: Callable[[bytearray, int], object]) -> bytes:
    """The zip of a bundle, the first entry of its directory changed."""
    data = bytearray(zip_of(files_of(BUNDLES / "tiny-vae")))
    change(data, struct.unpack_from("<I", data, data.rindex(b"PK\5\6") + 16)[0])  # entropy.npz has a directory too
    return bytes(data)


def renamed(data: bytearray, place: int) -> None:
    """The first name, of which zipfile shows what lies before a zero byte."""
    length = struct.unpack_from("<H", data, place + 28)[0]
    data[place + 46 + length - 1] = 0


def comment(data: bytearray, _: int) -> None:
    data[-2:] = b"\3\0"
    data += b"abc"


def larger(data: bytearray, place: int) -> None:
    """More bytes than there are, as entries have that lie over one another."""
    struct.pack_into("<II", data, place + 20, 10**6, 10**6)


def many() -> bytes:
    return zip_of({f"x{number}": b"" for number in range(10_001)})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (directory(lambda data, place: struct.pack_into("<H", data, place + 8, 1)), "is encrypted; refused"),
        (
            directory(lambda data, place: struct.pack_into("<II", data, place + 20, 2**31, 2**31)),
            "has 2147483648 bytes",
        ),
        (directory(lambda data, place: struct.pack_into("<I", data, place + 20, 7)), "is compressed"),
        (directory(renamed), "name that is not allowed"),
        (directory(larger), "its zip entries are larger than the file"),
        (directory(comment), "with a comment"),
        (many(), "a zip of 10001 entries"),
    ],
    ids=["encrypted", "too large", "two sizes", "name cut short", "overlap", "comment", "too many"],
)
def test_forged_directories_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Bundle.load(data)


def test_a_zip_that_may_not_be_read(tmp_path, monkeypatch) -> None:
    path = tmp_path / "model.aeb"
    path.write_bytes(b"")

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(zipfile, "ZipFile", refuse)
    with pytest.raises(BundleError, match=r"model\.aeb.* cannot be read \(Permission denied\)"):
        Bundle.load(path)


def test_an_entry_before_the_start_of_the_zip() -> None:
    data = bytearray(zip_of(files_of(BUNDLES / "tiny-vae")))
    end = data.rindex(b"PK\5\6")
    (offset,) = struct.unpack_from("<I", data, end + 16)
    struct.pack_into("<I", data, end + 16, offset + len(data))  # zipfile takes so many for missing in front
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle.load(bytes(data))


def test_damaged_zips_are_refused() -> None:
    data = zip_of(files_of(BUNDLES / "tiny-vae"))
    generator = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[generator.integers(len(data) - 3000, len(data))] ^= 1 << generator.integers(8)
        try:
            bundle = Bundle.load(bytes(damaged))
        except BundleError:
            continue
        assert bundle.hash == Bundle.load(BUNDLES / "tiny-vae").hash  # a date or attribute: nothing that is used
    for length in range(0, len(data), 997):
        with pytest.raises(BundleError):
            Bundle.load(data[:length])


ARRAYS: dict[str, Callable[[dict[str, Any]], object]] = {
    "missing": lambda a: a.pop("steps"),
    "unknown": lambda a: a.update(more=np.zeros(3)),
    "dtype": lambda a: a.update(steps=a["steps"].astype(np.float64)),
    "shape": lambda a: a.update(steps=a["steps"][:99]),
    "zero step": lambda a: a["steps"].__setitem__((3, 1), 0),
    "nan step": lambda a: a["steps"].__setitem__((3, 1), np.nan),
    "infinite offset": lambda a: a["offsets"].__setitem__(0, np.inf),
    "negative shrink": lambda a: a["shrink"].__setitem__((0, 0), -0.1),
    "large shrink": lambda a: a["shrink"].__setitem__((0, 0), 0.5),
    "small dead zone": lambda a: a.__setitem__("dead_zone", np.full(len(a["bank_sizes"]), 0.49, np.float32)),
    "large dead zone": lambda a: a.__setitem__("dead_zone", np.full(len(a["bank_sizes"]), 1, np.float32)),
    "dead zone of another size": lambda a: a.__setitem__("dead_zone", np.full(3, 0.5, np.float32)),
    "table index": lambda a: a["table_index"].__setitem__((0, 0), 200),
    "bank dtype": lambda a: a.update(bank_sizes=a["bank_sizes"].astype(np.int32)),
    "bank sum": lambda a: a["bank_frequencies"].__setitem__((1, 0), 1),
    "bank missing": lambda a: a.pop("bank_kind"),
}


@pytest.mark.parametrize("change", ARRAYS.values(), ids=ARRAYS.keys())
def test_tables_are_checked(change: Callable[[dict[str, Any]], object], tmp_path) -> None:
    folder = change_arrays(copy_of("tiny-conv", tmp_path / "b"), change)
    with pytest.raises(BundleError):
        Bundle.load(folder)


def test_hyperprior_tables_are_checked(tmp_path) -> None:
    for number, name in enumerate(("scale_tables", "hyper_table_index", "offsets")):
        folder = change_arrays(copy_of("tiny-hyper", tmp_path / str(number)), lambda a, name=name: a[name].fill(99))
        with pytest.raises(BundleError):
            Bundle.load(folder)


def test_tables_of_another_stream_id(tmp_path) -> None:
    folder = copy_of("tiny-conv", tmp_path / "b")
    parts = json.loads((folder / "manifest.json").read_bytes())["stream_id_parts"]
    change_arrays(folder, lambda arrays: arrays["steps"].__imul__(2))
    values = json.loads((folder / "manifest.json").read_bytes())
    before = json.loads((BUNDLES / "tiny-conv" / "manifest.json").read_bytes())
    values.update(stream_id=before["stream_id"], stream_id_parts=parts)
    (folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(BundleError, match="tables are not those of its stream id"):
        Bundle.load(folder)


def npz(method: int = zipfile.ZIP_STORED, **arrays: bytes) -> bytes:
    return zip_of({f"{name}.npy": data for name, data in arrays.items()}, method)


def npy(array: Any) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def header(text: str) -> bytes:
    line = text.encode() + b" " * (-(11 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + len(line).to_bytes(2, "little") + line


HEADERS = [
    "{'descr': '|V0', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '|S0', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (0, -1)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': " + str((0,) * 99) + "}",
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (0,)}",
    "{'descr': [], 'fortran_order': False, 'shape': (0,)}",
    "{" * 3000,
    "(" * 900,
    "[" * 9000,
    "{b'descr': '<f4'}",
    "",
]


@pytest.mark.parametrize("text", HEADERS, ids=lambda text: text[:30])
def test_forged_headers_of_arrays(text: str) -> None:
    with pytest.raises(BundleError) as caught:
        read_array(header(text))
    assert "\n" not in str(caught.value)


HUGE = npy(np.zeros(3)).replace(b"'shape': (3,)", b"'shape': (9223372036854775807,)")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing",
        npz(zipfile.ZIP_DEFLATED, a=npy(np.zeros(9))),
        npz(a=b"short"),
        npz(a=npy(np.array([{}], dtype=object))),
        npz(a=npy(np.zeros((3, 2)).T)),
        npz(a=npy(np.zeros(3))[:-1]),
        npz(a=npy(np.zeros(3)) + b"x"),
        npz(a=HUGE),
    ],
    ids=["empty", "text", "deflated", "no header", "pickle", "fortran", "cut", "long", "huge"],
)
def test_forged_arrays_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        read_arrays(data)


def test_arrays_come_back() -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    np.testing.assert_array_equal(read_array(npy(array)), array)
    np.testing.assert_array_equal(read_arrays(npz(a=npy(array)))["a"], array)


def test_graphs_that_are_none(tmp_path) -> None:
    folder = copy_of("tiny-conv", tmp_path / "b")
    (folder / "encoder.onnx").write_bytes(b"not a graph")
    with pytest.raises(BundleError, match=r"encoder\.onnx is not an ONNX graph"):
        Bundle.load(rehash(folder))
    (folder / "encoder.onnx").write_bytes(b"\x08\x0a")  # a model without a graph
    codec = Codec.load(rehash(folder))
    with pytest.raises(BundleError, match=r"encoder\.onnx: onnxruntime does not accept"):
        codec.compress(picture(8, 8, 3))


def test_links_to_files_are_followed(tmp_path) -> None:
    folder = tmp_path / "b"
    shutil.copytree(BUNDLES / "tiny-conv", tmp_path / "real")
    folder.mkdir()
    for path in (tmp_path / "real").iterdir():
        (folder / path.name).symlink_to(path)
    assert Bundle.load(folder).manifest.name == "tiny-conv"


@pytest.fixture
def opened(monkeypatch) -> list[bytes | Path]:
    """What graphs are opened from while every one counts as large; copies are looked at while they are there."""
    seen: list[bytes | Path] = []

    def watch(model: bytes | Path, *rest: Any, **options: Any) -> Session:
        seen.append(model)
        if isinstance(model, Path):
            assert model.read_bytes() == (BUNDLES / "tiny-conv" / model.name).read_bytes()
            assert stat.S_IMODE(model.parent.stat().st_mode) == 0o700
        return open_session(model, *rest, **options)

    monkeypatch.setattr(bundle_module, "LARGE_GRAPH", 0)
    monkeypatch.setattr(session_pool, "open_session", watch)
    return seen


def test_large_graphs_are_opened_from_a_private_copy(opened) -> None:
    before = Codec.load(BUNDLES / "tiny-conv", threads=1).compress(picture(20, 30, 3))
    assert len(opened) == 1
    assert isinstance(opened[0], Path)
    assert not opened[0].parent.exists()
    bundle_module.LARGE_GRAPH = 1 << 30  # the fixture's monkeypatch puts it back
    assert Codec.load(BUNDLES / "tiny-conv", threads=1).compress(picture(20, 30, 3)) == before
    assert isinstance(opened[1], bytes)


def test_without_room_for_a_copy_large_graphs_are_opened_from_memory(opened, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    Codec.load(BUNDLES / "tiny-conv", threads=1).compress(picture(20, 30, 3))
    assert isinstance(opened[0], bytes)


def test_large_graphs_are_checked_again(opened, tmp_path) -> None:
    folder = copy_of("tiny-conv", tmp_path / "b")
    bundle = Bundle.load(folder)
    data = bytearray((folder / "encoder.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "encoder.onnx").write_bytes(data)
    with pytest.raises(BundleError, match="sha256"), bundle.graph("encoder"):
        pass
    with pytest.raises(BundleError, match="holds no"), bundle.graph("none"):
        pass
