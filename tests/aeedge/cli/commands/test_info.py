import pytest

from aeedge_runtime import Codec

PASSES = {"tiny-dense": "", "tiny-conv": "", "tiny-vae": "", "tiny-hyper": ", 2 passes", "tiny-groups": ", 3 passes"}


def test_info_of_a_stream_needs_no_model(aeedge, draw, conv, tmp_path):
    data = Codec.load(conv).compress(draw(tmp_path / "a.png"), 30)
    (tmp_path / "a.aee").write_bytes(data)
    done = aeedge("info", tmp_path / "a.aee")
    assert done.code == 0
    assert "1 of 33x21" in done.text
    facts = aeedge("info", tmp_path / "a.aee", "--json").json["stream"]
    assert (facts["width"], facts["quality"], facts["total_bytes"]) == (33, 30, len(data))
    assert aeedge("info", "-", stdin=data).text == done.text


@pytest.mark.parametrize(("name", "passes"), PASSES.items())
def test_info_and_verify_of_every_family(aeedge, conv, name, passes):
    bundle = conv.parent / name
    done = aeedge("info", bundle)
    assert done.code == 0
    assert f" prior{passes}\n" in done.text
    assert aeedge("info", bundle, "--json").json["bundle"]["name"] == name
    done = aeedge("verify", bundle)
    assert (done.code, done.stderr) == (0, "")
    assert "passed on cpu" in done.text
    assert aeedge("verify", bundle, "--json").json["verification"]["passed"]


def test_a_damaged_stream_is_named(aeedge, draw, conv, tmp_path):
    place = tmp_path / "a.aee"
    for data in (b"no stream", Codec.load(conv).compress(draw(tmp_path / "a.png"))[:-1]):
        place.write_bytes(data)
        done = aeedge("info", place)
        assert (done.code, len(done.errors)) == (3, 1)
        assert done.errors[0].startswith(f"error: {place}: ")
        assert ": stream: " not in done.errors[0]
    assert aeedge("info", "-", stdin=data).errors[0].startswith("error: stdin: ")


def test_info_of_something_else(aeedge, tmp_path):
    (tmp_path / "x.txt").write_text("hello")
    assert aeedge("info", tmp_path / "x.txt").code == 3
    assert aeedge("info", tmp_path / "absent.aee").code == 3
    assert aeedge("info", tmp_path / "absent").code == 4


def test_a_folder_that_is_no_bundle_is_said_to_be_there(aeedge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r1").mkdir()
    for command in ("verify", "info"):
        done = aeedge(command, "r1")
        assert (done.code, len(done.errors)) == (4, 1)
        assert f"the folder {tmp_path / 'r1'} holds no manifest.json, so it is not a bundle" in done.errors[0]


def test_a_damaged_bundle_is_named(aeedge, tmp_path):
    (tmp_path / "cut.aeb").write_bytes(b"PK\x03\x04")
    (tmp_path / "manifest.json").write_bytes(b"")
    for place in (tmp_path / "cut.aeb", tmp_path):
        done = aeedge("info", place)
        assert (done.code, f"bundle {place}: " in done.errors[0]) == (3, True)
