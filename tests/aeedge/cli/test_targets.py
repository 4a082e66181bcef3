import pytest


@pytest.mark.parametrize(("flag", "value"), [("--max-bytes", 200), ("--target-bpp", 1.3), ("--target-psnr", 27.5)])
def test_targets_reach_the_codec(aeedge, conv, draw, tmp_path, flag, value):
    image = draw(tmp_path / "a.png", 40, 30)
    done = aeedge("compress", image, "-m", conv, flag, value, "--json")
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
    found = aeedge("compress", image, "-m", conv, "--max-bytes", 200, "--json").json["results"][0]["quality"]
    assert f", quality {found}\n" in aeedge("compress", image, "-m", conv, "--max-bytes", 200, "--force").text


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
