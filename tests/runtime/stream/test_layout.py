import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeedge_runtime.errors import LimitError
from aeedge_runtime.limits import CHUNK_SYMBOLS, MAX_CHUNK_SYMBOLS, MAX_PIXELS
from aeedge_runtime.stream.layout import Geometry, Span, check_size, chunk_spans

PHOTO = Geometry((16, 16), 192, 24, 4)


def test_latent_sizes_round_up():
    assert PHOTO.latent_size(1, 17) == (1, 2)


def test_many_small_images_share_a_chunk():
    digits = Geometry((28, 28), 64)
    assert chunk_spans(digits, 20000, 1, 1) == [Span(0, 16384, 0, 1), Span(16384, 3616, 0, 1)]


def test_a_large_image_is_cut_into_rows_by_the_hyper_stride():
    spans = chunk_spans(PHOTO, 2, 50, 150)  # 36 rows would fit, 28,800 symbols each
    assert spans[:2] == [Span(0, 1, 0, 36), Span(0, 1, 36, 14)]
    assert spans[2:] == [Span(1, 1, 0, 36), Span(1, 1, 36, 14)]


def test_a_very_wide_image_has_larger_chunks_of_hyper_stride_rows():
    assert chunk_spans(PHOTO, 1, 9, 4096) == [Span(0, 1, 0, 4), Span(0, 1, 4, 4), Span(0, 1, 8, 1)]


@given(
    st.integers(1, 400), st.sampled_from([1, 2, 4, 8]), st.integers(1, 50), st.integers(1, 300), st.integers(1, 6000)
)
@settings(max_examples=200, deadline=None)
def test_spans_cover_every_row_once_within_the_limits(channels, unit, count, h, w):
    geometry = Geometry((8, 8), channels, int(unit > 1), unit)
    try:
        spans = chunk_spans(geometry, count, h, w)
    except LimitError:
        assert min(unit, h) * channels * w > MAX_CHUNK_SYMBOLS
        return
    covered = 0
    for span in spans:
        assert span.first_image * h + span.first_row == covered
        assert span.rows == h or (span.images == 1 and span.first_row % unit == 0)
        symbols = span.images * span.rows * channels * w
        assert symbols <= CHUNK_SYMBOLS or (span.rows <= unit and symbols <= MAX_CHUNK_SYMBOLS)
        covered += span.images * span.rows
    assert covered == count * h


def test_too_wide_is_refused():
    wide = Geometry((1, 1), 192, 24, 4)
    with pytest.raises(LimitError, match="too wide"):
        chunk_spans(wide, 1, 100, 6000)
    with pytest.raises(LimitError, match="too wide"):
        check_size(wide, 1, 100, 6000)


def test_size_limit_counts_padding():
    assert check_size(PHOTO, 1, 16, 16, max_pixels=256) is None
    with pytest.raises(LimitError, match="is 512 pixels with padding, the limit is 256"):
        check_size(PHOTO, 1, 17, 16, max_pixels=256)
    with pytest.raises(LimitError, match=f"the limit is {MAX_PIXELS}"):
        check_size(Geometry((28, 28), 64), 1 << 24, 1, 1)
