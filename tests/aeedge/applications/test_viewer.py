import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from aeedge.applications import viewer
from aeedge.applications.viewer import view_page
from aeedge_runtime import Codec, stream_info


@pytest.fixture(scope="module")
def codec(conv):
    return Codec.load(conv, threads=1)


def images_of(page):
    found = re.findall(rb"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    return [np.asarray(Image.open(BytesIO(b64decode(data)))) for data in found]


def test_the_page_holds_the_decoded_images(codec):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 24, 40, 3), dtype=np.uint8)
    data = codec.compress_batch(pixels, max_error=0)
    page = view_page("a & b.aee", stream_info(data), codec.decompress_pictures(data), ["x.png", "<y>.png"])
    assert np.array_equal(images_of(page), pixels)
    assert b"a &amp; b.aee" in page
    assert b'alt="&lt;y&gt;.png"' in page
    assert b"<script" not in page


def test_names_in_any_alphabet_keep_the_page_ascii(codec):
    data = codec.compress(np.zeros((16, 16, 3), np.uint8))
    page = view_page("\u5199\u771f.aee", stream_info(data), codec.decompress_pictures(data))
    assert page.isascii()
    assert b"&#20889;" in page


def test_the_images_of_large_packs_are_counted(codec, monkeypatch):
    monkeypatch.setattr(viewer, "MOST_IMAGES", 2)
    data = codec.compress_batch(np.zeros((5, 16, 16, 3), np.uint8))
    page = view_page("pack.aee", stream_info(data), codec.decompress_pictures(data))
    assert len(images_of(page)) == 2
    assert b"3 images" in page
