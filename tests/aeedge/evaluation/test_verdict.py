import pytest

from aeedge.evaluation.bdrate import compare_curves
from aeedge.evaluation.evaluate import Evaluation, Rival
from aeedge.evaluation.points import Curve, CurvePoint, rates_and_psnr
from aeedge.evaluation.verdict import in_words, verdict

PSNR = (26.0, 29.0, 31.5, 34.0, 37.0)
SPAN = (28.5, 36.0)


def curve(codec, factors, encode_ms=10.0, decode_ms=10.0, psnr=PSNR):
    points = tuple(
        CurvePoint(index, 0.1 * 2**index * factor, value, None, encode_ms, decode_ms, 1000)
        for index, (factor, value) in enumerate(zip(factors, psnr, strict=True))
    )
    return Curve(codec, {"jpeg": "JPEG", "avif6": "AVIF speed 6"}.get(codec, codec), points)


def judged(ours, *theirs, images=None):
    rivals = [
        Rival(
            other,
            compare_curves(rates_and_psnr(ours), rates_and_psnr(other), SPAN, ("aeedge", other.title)),
            None,
            images or {},
        )
        for other in theirs
    ]
    evaluation = Evaluation({}, {"images": 3}, {}, SPAN, [], ours, rivals)
    return [(sentence.kind, sentence.text) for sentence in verdict(evaluation)]


EVEN = (1, 1, 1, 1, 1)


def test_wins_and_losses_are_named_with_their_size():
    found = judged(
        curve("aeedge", EVEN),
        curve("jpeg", [1.5] * 5, 1, 1),
        curve("avif6", [0.8] * 5, 200),
        images={"a": -5.0, "b": 2.0},
    )
    kinds = [kind for kind, _ in found]
    assert kinds[:2] == ["win", "loss"]
    assert "Against JPEG: 33.3 % fewer bytes at equal PSNR, 28.5 to 36 dB" in found[0][1]
    assert "Smaller on 1 of the 2 images; mean of their BD-rates −1.5 %" in found[0][1]
    assert "Encoding is 10 times slower (10 against 1 ms)" in found[0][1]
    assert "25.0 % more bytes" in found[1][1]
    assert "Encoding is 20 times faster" in found[1][1]
    advice = " ".join(text for kind, text in found if kind == "note")
    assert "Choose this bundle over JPEG" in advice
    assert "AVIF speed 6 is the better choice by bytes: 20.0 % fewer at equal PSNR" in advice
    assert "Where time to encode decides, JPEG is the better choice" in advice


def test_a_range_that_is_not_covered_gives_no_figure():
    found = judged(curve("aeedge", EVEN, psnr=(25, 26, 27, 28, 29)), curve("jpeg", EVEN))
    assert found[0] == ("note", "Against JPEG: not covered. aeedge covers 25.0 to 29.0 dB, not 28.5 to 36 dB.")
    assert any("29.0 dB here" in text for _, text in found)
    assert any("Nothing here speaks for this bundle" in text for _, text in found)
    assert any("as nothing could be compared: choose a --psnr-range" in text for _, text in found)


def test_the_score_has_a_verdict_of_its_own():
    ours, other = curve("aeedge", EVEN), curve("jpeg", [1.25] * 5)
    score = compare_curves(([1, 2], [40, 90]), ([0.8, 1.6], [40, 90]), (50, 80), ("aeedge", "JPEG"), unit="points")
    psnr = compare_curves(rates_and_psnr(ours), rates_and_psnr(other), SPAN)
    short = compare_curves(([1, 2], [40, 70]), ([1, 2], [40, 90]), (50, 80), ("aeedge", "JPEG"), unit="points")
    found = {}
    for name, difference in (("loss", score), ("note", short)):
        rival = Rival(other, psnr, None, {}, difference)
        evaluation = Evaluation({}, {"images": 3}, {}, SPAN, [], ours, [rival])
        found[name] = [s.text for s in verdict(evaluation) if s.kind == name and s.text.startswith("By SSIMULACRA2")]
    assert found["loss"][0].startswith("By SSIMULACRA2 against JPEG: 25.0 % more bytes at equal score, 50 to 80 points")
    assert "aeedge covers 40.0 to 70.0 points, not 50 to 80 points" in found["note"][0]


def test_equal_curves_are_even():
    found = judged(curve("aeedge", EVEN), curve("jpeg", EVEN))
    assert found[0][0] == "even"
    assert any("no classic codec is clearly faster" in text for _, text in found)


def test_crossing_curves_say_where():
    found = judged(curve("aeedge", (0.6, 0.7, 1, 1.3, 1.5)), curve("jpeg", EVEN))
    assert "It is the smaller one only from 28.5 to 31.4 dB" in found[0][1]


@pytest.mark.parametrize(
    ("percent", "words"), [(-12.34, "12.3 % fewer bytes"), (4, "4.0 % more bytes"), (150, "2.5 times the bytes")]
)
def test_differences_in_words(percent, words):
    assert in_words(percent) == words
