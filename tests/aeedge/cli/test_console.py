import pytest

from aeedge.cli import console


def test_printable_names_are_on_one_line():
    assert console.printable("a b#ä") == "a b#ä"
    assert console.printable(b"\xff\n\x1b[31m") == "\\xff\\n\\x1b[31m"


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (1234, "1.23 kB"),
        (999_999, "1 MB"),
        (45_600_000, "45.6 MB"),
        (2.3e12, "2,300 GB"),
    ],
)
def test_sizes_for_people(octets, text):
    assert console.size(octets) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.01234, "0.0123"), (99.96, "100"), (999.6, "1,000"), (1234, "1,234")]
)
def test_figures_for_people_have_no_exponent(value, text):
    assert console.figure(value) == text
