import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeedge.cli import compressor as compression
from aeedge.cli import decompressor as restoration
from aeedge_runtime import Codec, stream_info
from aeedge_runtime.images import load as image_files
from aeedge_runtime.stream.container import Stream, write_stream


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_one_image_there_and_back(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.jpg")
    before = image.read_bytes()
    done = aeedge("compress", image, "-m", conv)
    assert (done.code, done.stderr) == (0, "")
    assert done.text.startswith(f"{image} -> {image}.aee: 33x21, ")
    done = aeedge("decompress", tmp_path / "a.jpg.aee", "-m", conv)
    assert (done.code, done.stderr) == (0, "")
    assert tree(tmp_path) == ["a.jpg", "a.jpg.aee", "a.jpg.png"]
    assert image.read_bytes() == before
    expected = Codec.load(conv).decompress((tmp_path / "a.jpg.aee").read_bytes())
    assert np.array_equal(pixels(tmp_path / "a.jpg.png"), expected)


def test_a_png_beside_a_jpg_keep_apart(aeedge, draw, conv, tmp_path):
    for name in ("a.png", "a.jpg", "deep/a.png"):
        draw(tmp_path / "in" / name)
    assert aeedge("compress", tmp_path / "in", "-m", conv, "-o", tmp_path / "out").code == 0
    assert tree(tmp_path / "out") == ["a.jpg.aee", "a.png.aee", "deep/a.png.aee"]
    assert aeedge("decompress", tmp_path / "out", "-m", conv, "-o", tmp_path / "back").code == 0
    assert tree(tmp_path / "back") == ["a.jpg.png", "a.png", "deep/a.png"]


def test_standard_streams(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.png")
    stream = aeedge("compress", "-", "-m", conv, stdin=image.read_bytes())
    assert stream.code == 0
    assert stream.stdout == Codec.load(conv).compress(image)
    restored = aeedge("decompress", "-", "-m", conv, stdin=stream.stdout)
    assert restored.stdout.startswith(b"\x89PNG")
    assert aeedge("compress", image, "-m", conv, "-o", "-").stdout == stream.stdout
    assert aeedge("compress", "-", "-m", conv, "-o", tmp_path / "x.aee", stdin=image.read_bytes()).code == 0
    assert (tmp_path / "x.aee").read_bytes() == stream.stdout


def test_bytes_for_a_terminal_are_refused(aeedge, draw, conv, tmp_path, monkeypatch):
    monkeypatch.setattr("aeedge.cli.console.sys.stdout.isatty", lambda: True)
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "-o", "-")
    assert (done.code, done.stdout) == (2, b"")


def test_json_and_a_result_on_stdout_are_refused(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.png")
    for words in (("compress", image, "-o", "-"), ("decompress", image, "-o", "-"), ("decompress", "-")):
        done = aeedge(*words, "-m", conv, "--json")
        assert (done.code, len(done.errors)) == (2, 1)
        assert "--json cannot be combined" in done.errors[0]


def test_json_is_one_object(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.png")
    done = aeedge("compress", image, "-m", conv, "-q", "90", "--json")
    (result,) = done.json["results"]
    assert done.json["schema"] == 1
    assert result["bytes"] == (tmp_path / "a.png.aee").stat().st_size
    assert (result["width"], result["height"], result["quality"]) == (33, 21, 90)
    done = aeedge("decompress", f"{image}.aee", "-m", conv, "--json", "--force", "-o", tmp_path / "b.png")
    assert done.json["results"][0]["output"] == str(tmp_path / "b.png")
    assert aeedge("compress", image, "-m", conv, "-o", "-", "--json").code == 2


def test_a_batch_goes_on_past_a_bad_file_and_names_it(aeedge, draw, conv, tmp_path):
    good, bad, last = draw(tmp_path / "a.png"), tmp_path / "b.png", draw(tmp_path / "c.png")
    bad.write_bytes(good.read_bytes()[:-30])
    done = aeedge("compress", good, bad, last, tmp_path / "absent.png", "-m", conv, "-o", tmp_path / "out")
    assert done.code == 1
    assert tree(tmp_path / "out") == ["a.png.aee", "c.png.aee"]
    assert [line.split(":")[1].strip() for line in done.errors] == [str(bad), str(tmp_path / "absent.png")]
    assert "2 written, 2 failed" in done.text
    done = aeedge("compress", good, bad, "-m", conv, "-o", tmp_path / "other", "--json")
    assert [result["status"] for result in done.json["results"]] == ["written", "failed"]
    assert done.json["results"][1]["exit_code"] == 3


@pytest.mark.parametrize(
    ("content", "code"), [(b"", 3), (b"hello", 3), (b"\x89PNG\r\n\x1a\n", 3), (b"\xaeED", 3)], ids=str
)
def test_what_is_no_image_or_no_stream_is_error_3(aeedge, conv, tmp_path, content, code):
    (tmp_path / "x.png").write_bytes(content)
    for command in ("compress", "decompress"):
        done = aeedge(command, tmp_path / "x.png", "-m", conv, "-o", tmp_path / "out")
        assert (done.code, len(done.errors)) == (code, 1)
        assert done.errors[0].startswith(f"error: {tmp_path / 'x.png'}: ")
    assert tree(tmp_path) == ["x.png"]


def test_a_stream_of_another_model_is_error_4_and_names_both(aeedge, draw, conv, dense, tmp_path):
    aeedge("compress", draw(tmp_path / "a.png"), "-m", conv)
    done = aeedge("decompress", tmp_path / "a.png.aee", "-m", dense, "-o", tmp_path / "b.png")
    assert done.code == 4
    for bundle in (conv, dense):
        assert json.loads((bundle / "manifest.json").read_text())["stream_id"] in done.errors[0]


def test_a_model_not_found_is_error_4(aeedge, draw, tmp_path):
    assert aeedge("compress", draw(tmp_path / "a.png"), "-m", tmp_path / "none").code == 4


def test_a_device_that_is_not_there_is_error_5(aeedge, draw, conv, tmp_path):
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "--device", "provider:Nonexistent")
    assert done.code == 5
    assert aeedge("compress", tmp_path / "a.png", "-m", conv, "--device", "abacus").code == 2


def test_existing_outputs_are_kept_forced_or_skipped(aeedge, draw, conv, tmp_path):
    image, output = draw(tmp_path / "a.png"), tmp_path / "a.png.aee"
    output.write_bytes(b"mine")
    assert aeedge("compress", image, "-m", conv).code == 1
    assert aeedge("compress", image, "-m", conv, "--skip-existing").code == 0
    assert output.read_bytes() == b"mine"
    assert aeedge("compress", image, "-m", conv, "--force", "--skip-existing").code == 2
    assert aeedge("compress", image, "-m", conv, "--force").code == 0
    assert output.read_bytes() != b"mine"


def test_a_stream_never_has_the_name_of_a_picture(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.png")
    for words in (("-o", tmp_path / "new.png"), ("-o", tmp_path / "new.JPEG"), ("--pack", tmp_path / "new.webp")):
        done = aeedge("compress", image, "-m", conv, *words)
        assert (done.code, len(done.errors)) == (2, 1)
        assert f"{words[0]} {words[1]}: found {words[1].suffix}, expected .aee" in done.errors[0]
    assert tree(tmp_path) == ["a.png"]
    for name in ("plain", "new.bin"):
        assert aeedge("compress", image, "-m", conv, "-o", tmp_path / name).code == 0


def test_several_images_never_go_to_the_name_of_one(aeedge, draw, conv, tmp_path):
    for name in "ab":
        draw(tmp_path / "in" / f"{name}.png")
    pack = tmp_path / "all.aee"
    aeedge("compress", tmp_path / "in", "-m", conv, "--pack", pack)
    done = aeedge("decompress", pack, "-m", conv, "-o", tmp_path / "one.png")
    assert (done.code, len(done.errors)) == (2, 1)
    assert "one.png: found the name of an image, expected that of a folder" in done.errors[0]
    assert not (tmp_path / "one.png").exists()
    (tmp_path / "one.png").mkdir()
    assert aeedge("decompress", pack, "-m", conv, "-o", tmp_path / "one.png").code == 0
    assert tree(tmp_path / "one.png") == ["a.png", "b.png"]


def test_an_input_is_never_an_output(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.png")
    before = image.read_bytes()
    done = aeedge("compress", image, "-m", conv, "-o", image, "--force")
    assert done.code == 2
    assert "is also an input" in done.stderr
    assert image.read_bytes() == before


def test_max_pixels(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.png")
    assert aeedge("compress", image, "-m", conv, "--max-pixels", "100").code == 3
    assert aeedge("compress", image, "-m", conv).code == 0
    assert aeedge("decompress", f"{image}.aee", "-m", conv, "--max-pixels", "100", "-o", tmp_path / "b.png").code == 3


def test_warnings_name_the_file_and_do_not_fail(aeedge, draw, conv, dense, tmp_path):
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", dense)
    assert done.code == 0
    assert len(done.warnings) == 1
    assert done.warnings[0].startswith(f"warning: {tmp_path / 'a.png'}: ")


def test_verify_takes_away_what_the_disk_changed(aeedge, draw, conv, tmp_path, monkeypatch):
    image = draw(tmp_path / "a.png")
    assert aeedge("compress", image, "-m", conv, "--verify", "--json").json["results"][0]["verified"]

    def lying_disk(path, data, *, overwrite):
        Path(path).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    monkeypatch.setattr(compression, "atomic_write", lying_disk)
    done = aeedge("compress", image, "-m", conv, "--verify", "-o", tmp_path / "b.aee")
    assert done.code == 1
    assert not (tmp_path / "b.aee").exists()


def test_verify_finds_what_cannot_be_decoded(aeedge, draw, conv, tmp_path, monkeypatch):
    compress = Codec.compress_batch

    def faulty(self, *arguments, **options):
        data = compress(self, *arguments, **options)
        return data[:40] + bytes([data[40] ^ 1]) + data[41:]

    monkeypatch.setattr(Codec, "compress_batch", faulty)
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "--verify")
    assert done.code == 3
    assert tree(tmp_path) == ["a.png"]


def test_pack_and_unpack_keep_names_and_structure(aeedge, draw, conv, tmp_path):
    for name in ("a.png", "a.jpg", "deep/b.png"):
        draw(tmp_path / "in" / name)
    done = aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "all.aee")
    assert done.code == 0
    assert done.text.startswith("3 images -> ")
    assert stream_info(tmp_path / "all.aee").count == 3
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv).code == 0
    assert tree(tmp_path / "all") == ["a.jpg.png", "a.png", "deep/b.png"]
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv, "-o", tmp_path / "new").code == 0
    assert tree(tmp_path / "new") == tree(tmp_path / "all")
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv).code == 1
    assert "skipped" in aeedge("decompress", tmp_path / "all.aee", "-m", conv, "--skip-existing").stderr
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv, "-o", "-").code == 2


def test_a_pack_without_a_bad_image_and_exit_code_1(aeedge, draw, conv, tmp_path):
    draw(tmp_path / "in/a.png")
    (tmp_path / "in/b.png").write_bytes(b"no image")
    done = aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "all.aee")
    assert (done.code, len(done.errors)) == (1, 1)
    assert stream_info(tmp_path / "all.aee").count == 1


def test_a_pack_of_several_sizes_is_refused(aeedge, draw, conv, tmp_path):
    draw(tmp_path / "in/a.png")
    draw(tmp_path / "in/b.png", width=8)
    done = aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "all.aee")
    assert done.code == 2
    assert "found 8x21, expected 33x21" in done.stderr
    assert not (tmp_path / "all.aee").exists()


def test_pack_excludes_what_does_not_apply(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.png")
    assert aeedge("compress", image, "-m", conv, "--pack", "x.aee", "-o", "y.aee").code == 2


def test_a_new_folder_appears_only_when_complete(aeedge, draw, conv, tmp_path, monkeypatch):
    for name in ("a.png", "b.png"):
        draw(tmp_path / "in" / name)
    aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "all.aee")
    from aeedge.cli import decompressor as restoration

    writes = []

    def full_disk(path, data, *, overwrite):
        writes.append(path)
        if len(writes) == 2:
            raise OSError(28, "No space left on device", str(path))
        Path(path).write_bytes(data)

    monkeypatch.setattr(restoration, "atomic_write", full_disk)
    done = aeedge("decompress", tmp_path / "all.aee", "-m", conv)
    assert done.code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.aee", "in"]


def test_all_frames(aeedge, conv, tmp_path):
    frames = [Image.new("RGB", (16, 8), (value, 0, 0)) for value in (0, 128, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    done = aeedge("compress", tmp_path / "a.gif", "-m", conv)
    assert "the first of several frames was taken" in done.stderr
    assert stream_info(tmp_path / "a.gif.aee").count == 1
    done = aeedge("compress", tmp_path / "a.gif", "-m", conv, "--all-frames", "--force")
    assert done.code == 0
    assert "several frames" not in done.stderr
    assert len(set(done.warnings)) == len(done.warnings)
    assert "found a file, expected a folder" in aeedge("decompress", tmp_path / "a.gif.aee", "-m", conv).stderr
    assert aeedge("decompress", tmp_path / "a.gif.aee", "-m", conv, "-o", tmp_path / "frames").code == 0
    assert tree(tmp_path / "frames") == ["0001.png", "0002.png", "0003.png"]


def test_other_image_formats_by_suffix(aeedge, draw, conv, tmp_path):
    aeedge("compress", draw(tmp_path / "a.png"), "-m", conv)
    for suffix, kind in ((".jpg", "JPEG"), (".webp", "WEBP")):
        assert aeedge("decompress", tmp_path / "a.png.aee", "-m", conv, "-o", tmp_path / f"b{suffix}").code == 0
        with Image.open(tmp_path / f"b{suffix}") as image:
            assert image.format == kind
    assert aeedge("decompress", tmp_path / "a.png.aee", "-m", conv, "-o", tmp_path / "b.xyz").code == 2


def test_a_device_as_output_is_written_to(aeedge, draw, conv, tmp_path):
    assert aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "-o", os.devnull).code == 0
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_an_option_is_no_name_of_a_packed_stream(aeedge, draw, conv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png")
    done = aeedge("compress", "a.png", "-m", conv, "--pack", "-o", "all.aee")
    assert (done.code, len(done.errors)) == (2, 1)
    assert "--pack: found -o, expected the name of the stream to write" in done.errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_forged_count_is_refused_before_places_are_made(aeedge, conv, tmp_path, monkeypatch):
    stream_id = Codec.load(conv).bundle.stream_id
    for wanted, code in ((stream_id, 3), (bytes(8), 4)):
        place = tmp_path / "bomb.aee"
        place.write_bytes(write_stream(Stream(wanted, 50, 1 << 24, 65535, 65535, False, [b"x"], 0)))
        monkeypatch.setattr(restoration, "unpacked_paths", lambda *_: pytest.fail("made places"))
        done = aeedge("decompress", place, "-m", conv, "-o", tmp_path / "out")
        assert (done.code, len(done.errors)) == (code, 1)
    assert not (tmp_path / "out").exists()


def test_packing_prints_nothing_but_json_where_that_is_asked_for(aeedge, draw, conv, tmp_path):
    draw(tmp_path / "a.png")
    done = aeedge("compress", tmp_path / "a.png", "-m", conv, "--pack", tmp_path / "all.aee", "--json")
    assert done.json["command"] == "compress"
    facts = stream_info(tmp_path / "all.aee")
    expected = {"images": 1, "width": facts.width, "quality": 50, "bytes": (tmp_path / "all.aee").stat().st_size}
    assert expected.items() <= done.json["summary"].items()


def test_packing_takes_neither_a_folder_nor_jobs(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.png")
    for words, message in (
        (("--pack", f"{tmp_path}/new/"), "/new/: found a folder, expected the name of the stream to write"),
        (("--pack", tmp_path), "found a folder, expected the name of the stream to write"),
        (("--pack", tmp_path / "all.aee", "--jobs", 2), "--pack cannot be combined with --jobs"),
    ):
        done = aeedge("compress", image, "-m", conv, *words)
        assert (done.code, len(done.errors)) == (2, 1)
        assert message in done.errors[0]
    assert tree(tmp_path) == ["a.png"]


def test_without_a_model_a_folder_called_so_is_not_taken(aeedge, draw, conv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(conv, tmp_path / "photo")
    draw(tmp_path / "a.png")
    assert aeedge("compress", "a.png").code == 0
    assert stream_info("a.png.aee").stream_id == Codec.load().bundle.stream_id.hex()
    assert aeedge("compress", "a.png", "-m", "photo", "--force").code == 0
    assert stream_info("a.png.aee").stream_id == Codec.load(conv).bundle.stream_id.hex()


@pytest.mark.parametrize("more", [["--force"], ["--skip-existing"], ["--jobs", "2"]])
def test_two_streams_are_not_restored_to_one_place(aeedge, draw, conv, tmp_path, more):
    draw(tmp_path / "in" / "1.png")
    aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "st" / "p.aee")
    aeedge("compress", tmp_path / "in", "-m", conv, "-o", tmp_path / "st" / "p")
    assert tree(tmp_path / "st") == ["p.aee", "p/1.png.aee"]
    done = aeedge("decompress", tmp_path / "st", "-m", conv, "-o", tmp_path / "out", *more)
    assert (done.code, len(done.errors)) == (1, 1)
    assert "give them different output folders" in done.errors[0]
    assert tree(tmp_path / "out") == ["p/1.png"]


def test_frames_beyond_the_limit_are_not_decoded(aeedge, conv, tmp_path, monkeypatch):
    first, *others = [Image.new("L", (20, 20), shade) for shade in range(0, 250, 25)]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others)
    read, decoded = image_files._from_opened, []
    monkeypatch.setattr(image_files, "_from_opened", lambda *words: decoded.append(0) or read(*words))
    done = aeedge("compress", tmp_path / "a.gif", "-m", conv, "--all-frames", "--max-pixels", 3999)
    assert (done.code, len(done.errors)) == (3, 1)
    assert "10 frames have 4000 pixels, the limit is 3999" in done.errors[0]
    assert not decoded
    assert aeedge("compress", tmp_path / "a.gif", "-m", conv, "--all-frames").code == 0
    assert len(decoded) == 10


def test_packing_keeps_no_more_in_memory_than_a_stream_may_hold(aeedge, draw, conv, tmp_path, monkeypatch):
    for number in range(4):
        draw(tmp_path / "in" / f"{number}.png", 10, 10)
    monkeypatch.setattr(compression, "_check_one_size", lambda *_: pytest.fail("kept"))
    done = aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "p.aee", "--max-pixels", 399)
    assert (done.code, len(done.errors)) == (3, 1)
    assert "the images have 400 pixels, the limit is 399" in done.errors[0]
    assert not (tmp_path / "p.aee").exists()
