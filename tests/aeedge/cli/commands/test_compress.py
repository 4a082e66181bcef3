"""Images to streams: files, folders, standard streams, packs and rates."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeedge_runtime import Codec, stream_info

NAMES = [
    b"with space.png",
    b"#1.png",
    b"new\nline.png",
    "\u00e4\u6587.png".encode(),
    b"\xff\xfe.png",
    b"-q.png",
    b"a" * 247 + b".png",
]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def listed(folder: Path) -> list[bytes]:
    return sorted(os.fsencode(path.name) for path in folder.iterdir())


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
    assert "is 8x21, expected 33x21" in done.stderr
    assert not (tmp_path / "all.aee").exists()


def test_pack_excludes_what_does_not_apply(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / "a.png")
    assert aeedge("compress", image, "-m", conv, "--pack", "x.aee", "-o", "y.aee").code == 2


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
    assert "is a file, expected a folder" in aeedge("decompress", tmp_path / "a.gif.aee", "-m", conv).stderr
    assert aeedge("decompress", tmp_path / "a.gif.aee", "-m", conv, "-o", tmp_path / "frames").code == 0
    assert tree(tmp_path / "frames") == ["0001.png", "0002.png", "0003.png"]


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


@pytest.mark.parametrize(("flag", "value"), [("--max-bytes", 200), ("--target-bpp", 1.3), ("--target-psnr", 27.5)])
def test_targets_reach_the_codec(aeedge, conv, draw, tmp_path, flag, value):
    image = draw(tmp_path / "a.png", 40, 30)
    done = aeedge("compress", image, "-m", conv, flag, value, "--no-stored-tiles", "--json")
    assert done.code == 0
    result = done.json["results"][0]
    assert result["bytes"] == (tmp_path / "a.png.aee").stat().st_size
    if flag == "--max-bytes":
        assert result["bytes"] <= 200
    elif flag == "--target-bpp":
        assert result["bits_per_pixel"] <= 1.3
    assert 1 < result["quality"] < 100


def test_a_rate_beyond_any_stream_is_no_limit(aeedge, conv, draw, tmp_path):
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "--target-bpp", "1e308", "--json")
    assert (done.code, done.json["results"][0]["quality"]) == (0, 100)


def test_the_quality_found_is_said(aeedge, conv, draw, tmp_path):
    image = draw(tmp_path / "a.png", 40, 30)
    words = ("compress", image, "-m", conv, "--max-bytes", 200, "--no-stored-tiles")
    found = aeedge(*words, "--json").json["results"][0]["quality"]
    assert f", quality {found}\n" in aeedge(*words, "--force").text


def test_a_limit_that_cannot_be_met_names_the_smallest_size(aeedge, conv, draw, tmp_path):
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "--max-bytes", 12)
    assert done.code == 1
    assert "at most 12 bytes cannot be met; the smallest size possible with this model is" in done.errors[0]
    assert not (tmp_path / "a.png.aee").exists()


def test_a_packed_stream_has_one_limit(aeedge, conv, draw, tmp_path):
    for name in "abc":
        draw(tmp_path / "in" / f"{name}.png", 32, 32)
    pack = tmp_path / "all.aee"
    assert aeedge("compress", tmp_path / "in", "-m", conv, "--pack", pack, "--max-bytes", 400).code == 0
    assert pack.stat().st_size <= 400


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize("option", ["--target-bpp", "--target-psnr"])
def test_targets_that_are_no_numbers_are_usage_errors_of_several_images_too(
    aeedge, conv, draw, tmp_path, option, number
):
    images = [draw(tmp_path / name) for name in ("a.png", "b.png")]
    done = aeedge("compress", *images, "-m", conv, option, number)
    assert (done.code, len(done.errors)) == (2, 1)
    assert f"found {number}, expected a finite number" in done.errors[0]


def test_two_targets_are_a_usage_error(aeedge, conv, draw, tmp_path):
    done = aeedge("compress", draw(tmp_path / "a.png"), "-m", conv, "-q", 40, "--max-bytes", 900)
    assert done.code == 2
    assert "--quality and --max-bytes cannot be combined" in done.errors[0]
    assert aeedge("compress", tmp_path / "a.png", "-m", conv, "--target-bpp", 0).code == 2


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:20])
def test_odd_names_make_the_round_trip_in_their_own_folder(draw, conv, tmp_path, name):
    draw(tmp_path / "plain.png").rename(tmp_path / os.fsdecode(name))
    for command, word in (("compress", name), ("decompress", name + b".aee")):
        words = [sys.executable, "-m", "aeedge", command, "-m", conv, "--force" if command == "compress" else "-oback"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([*words, "--", word], cwd=tmp_path, capture_output=True, env=environment, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b"\n") == 1
    with Image.open(tmp_path / "back") as image:
        assert image.size == (33, 21)


def test_odd_names_in_a_folder_and_in_a_pack(aeedge, draw, conv, tmp_path):
    for name in NAMES:
        draw(tmp_path / "in" / "plain.png").rename(tmp_path / "in" / os.fsdecode(name))
    assert aeedge("compress", tmp_path / "in", "-m", conv, "-o", tmp_path / "out").code == 0
    assert listed(tmp_path / "out") == sorted(name + b".aee" for name in NAMES)
    assert aeedge("compress", tmp_path / "in", "-m", conv, "--pack", tmp_path / "all.aee").code == 0
    assert aeedge("decompress", tmp_path / "all.aee", "-m", conv).code == 0
    assert listed(tmp_path / "all") == sorted(NAMES)


def test_a_name_too_long_for_its_result_is_one_line(aeedge, draw, conv, tmp_path):
    image = draw(tmp_path / ("a" * 251 + ".png"))
    done = aeedge("compress", image, "-m", conv)
    assert done.code == 1
    assert "choose a shorter name with -o" in done.errors[0]
    assert aeedge("compress", image, "-m", conv, "-o", tmp_path / "b.aee").code == 0


def test_a_fifo_and_a_folder_named_like_an_image(aeedge, draw, conv, tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    draw(tmp_path / "folder.png" / "a.png")
    assert aeedge("compress", tmp_path / "fifo.png", "-m", conv).code == 3
    done = aeedge("compress", tmp_path / "folder.png", "-m", conv, "-o", tmp_path / "out")
    assert done.code == 0
    assert (tmp_path / "out/a.png.aee").exists()


def test_an_unreadable_file_is_named_and_the_others_done(aeedge, draw, conv, tmp_path, monkeypatch):
    draw(tmp_path / "in/a.png")
    denied = draw(tmp_path / "in/b.png")
    opened = os.open

    def deny(path, *rest, **options):
        if Path(path) == denied:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **options)

    monkeypatch.setattr("aeedge.sources.os.open", deny)
    done = aeedge("compress", tmp_path / "in", "-m", conv, "-o", tmp_path / "out")
    assert done.code == 1
    assert done.errors == [f"error: {denied}: cannot be read: Permission denied; name an existing, readable file"]
    assert (tmp_path / "out/a.png.aee").exists()


def page(path: Path, photograph: bool) -> np.ndarray:
    """Write dark marks on white, with a photograph in a corner or without, and return the pixels."""
    random = np.random.default_rng(5)
    marks = (random.random((64, 64)) < 0.15).repeat(3, 0).repeat(3, 1)
    found = np.where(marks[..., None], 20, 255).astype(np.uint8).repeat(3, 2)
    if photograph:
        rows, columns = np.mgrid[:64, :64]
        waves = 127 + 60 * np.sin(rows / 9)[..., None] + 50 * np.cos(columns / 7)[..., None]
        found[:64, :64] = np.clip(waves + random.normal(0, 3, (64, 64, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(found).save(path)
    return found


def test_a_drawing_is_lossless_and_the_report_says_so(aeedge, conv, tmp_path):
    original = page(tmp_path / "a.png", photograph=False)
    done = aeedge("compress", tmp_path / "a.png", "-m", conv)
    assert "lossless" in done.text
    assert "lossless" in aeedge("info", tmp_path / "a.png.aee").text
    aeedge("decompress", tmp_path / "a.png.aee", "-m", conv, "-o", tmp_path / "b.png")
    np.testing.assert_array_equal(pixels(tmp_path / "b.png"), original)


def test_stored_tiles_are_counted_and_can_be_turned_off(aeedge, conv, tmp_path):
    page(tmp_path / "a.png", photograph=True)
    facts = aeedge("compress", tmp_path / "a.png", "-m", conv, "--json").json["results"][0]
    assert (facts["stored_tiles"], facts["tiles"], facts["max_error"]) == (8, 9, None)
    assert "8 of 9 tiles stored exactly" in aeedge("info", tmp_path / "a.png.aee").text
    done = aeedge("compress", tmp_path / "a.png", "-m", conv, "--json", "--no-stored-tiles", "--force")
    more = done.json["results"][0]
    assert more["stored_tiles"] == 0
    assert more["bytes"] > facts["bytes"]


@pytest.mark.parametrize("error", [0, 6])
def test_a_bound_is_kept_shown_and_verified(aeedge, conv, tmp_path, error):
    original = page(tmp_path / "a.png", photograph=True)
    done = aeedge("compress", tmp_path / "a.png", "-m", conv, "--max-error", error, "--verify", "--json")
    assert done.json["results"][0]["max_error"] == error
    assert aeedge("info", tmp_path / "a.png.aee", "--json").json["stream"]["max_error"] == error
    aeedge("decompress", tmp_path / "a.png.aee", "-m", conv, "-o", tmp_path / "b.png")
    assert np.abs(pixels(tmp_path / "b.png").astype(int) - original).max() <= error


def test_a_bound_that_is_broken_is_found_by_verify(aeedge, conv, tmp_path, monkeypatch):
    page(tmp_path / "a.png", photograph=True)
    monkeypatch.setattr("aeedge_runtime.fidelity.bounded.MOST_STEPPED", 0)
    monkeypatch.setattr("aeedge_runtime.coding.decoder.add_residual", lambda *_: None)
    done = aeedge("compress", tmp_path / "a.png", "-m", conv, "--max-error", 6, "--verify")
    assert done.code == 1
    assert "at most 6 is allowed" in done.stderr
    assert not (tmp_path / "a.png.aee").exists()


def test_a_bound_and_a_rate_cannot_be_combined(aeedge, conv, tmp_path):
    page(tmp_path / "a.png", photograph=False)
    for other in (["--quality", 50], ["--max-bytes", 900], ["--no-stored-tiles"]):
        done = aeedge("compress", tmp_path / "a.png", "-m", conv, "--max-error", 6, *other)
        assert done.code == 2
        assert "cannot be combined" in done.stderr


def test_float_gray_needs_its_range(aeedge, conv, tmp_path):
    values = np.linspace(-40, 120, 32 * 48, dtype=np.float32).reshape(32, 48)
    Image.fromarray(values).save(tmp_path / "heat.tif")
    refused = aeedge("compress", tmp_path / "heat.tif", "-m", conv)
    assert (refused.code, "--range" in refused.errors[0]) == (3, True)
    assert aeedge("compress", tmp_path / "heat.tif", "-m", conv, "--range", "-40:120").code == 0
    assert aeedge("compress", tmp_path / "heat.tif", "-m", conv, "--range", "9:3").code == 2


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_a_ratio_bounds_the_bytes_by_those_of_the_pixels(aeedge, conv, tmp_path, mode, channels):
    noise = np.random.default_rng(0).normal(128, 20, (128, 160, channels))
    Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8).squeeze(), None).convert(mode).save(tmp_path / "a.png")
    done = aeedge("compress", tmp_path / "a.png", "-m", conv, "--ratio", 8, "--no-stored-tiles")
    assert done.code == 0, done.stderr
    assert (tmp_path / "a.png.aee").stat().st_size <= 128 * 160 * channels / 8
    assert aeedge("compress", tmp_path / "a.png", "-m", conv, "--ratio", 0.5, "--force").code == 2
