import pytest
from tiny import BUNDLES, picture

from aeedge_runtime import Codec
from aeedge_runtime.coding import small_images


def test_the_memo_of_shapes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_images, "MOST_SHAPES", 3)
    codec = Codec.load(BUNDLES / "tiny-conv", threads=1)
    for width in range(8, 14):
        image = picture(8, width, 3)
        codec.decode(codec.encode(image), (8, width))
    assert len(codec._inputs._encodable) == len(codec._inputs._decodable) == 3
