import pytest

from aeedge.applications.images import dataset_images, file_images
from aeedge.sources import find_sources
from aeedge_runtime import AeedgeWarning
from aeedge_runtime.images.formats import IMAGE_SUFFIXES


def test_files_carry_their_folder_as_class(draw, tmp_path):
    draw(tmp_path / "cats" / "a.png")
    draw(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(b"no image")
    failed = []
    sources = find_sources([str(tmp_path)], IMAGE_SUFFIXES)
    with pytest.warns(AeedgeWarning, match="reduced to gray") as told:
        images = list(file_images(sources, 1, lambda source, error: failed.append(source.relative.name)))
    assert sorted((image.name, image.label) for image in images) == [("b.png", ""), ("cats/a.png", "cats")]
    assert failed == ["c.png"]
    assert len(told) == 1


def test_data_sets_have_names_and_classes():
    first = next(dataset_images("synthetic", 1, "nowhere", "test"))
    assert first.name == "test/00000"
    assert first.label in set("0123456789")
    assert first.pixels.shape == (28, 28, 1)
