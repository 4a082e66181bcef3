import pytest

from aeedge.figures import count, figure, printable, size, spread, table, with_name


def test_printable_names_are_on_one_line():
    assert printable("a b#ä") == "a b#ä"
    assert printable(b"\xff\n\x1b[31m") == "\\xff\\n\\x1b[31m"


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
    assert size(octets) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.01234, "0.0123"), (99.96, "100"), (999.6, "1,000"), (1234, "1,234")]
)
def test_figures_for_people_have_no_exponent(value, text):
    assert figure(value) == text


@pytest.mark.parametrize(("number", "noun", "text"), [(1, "image", "1 image"), (1200, "pass", "1,200 passes")])
def test_counts_have_the_plural_of_their_noun(number, noun, text):
    assert count(number, noun) == text


def test_messages_about_bytes_get_the_name_of_their_input():
    assert with_name("a.png", "image bytes: damaged") == "a.png: damaged"
    assert with_name("a.png", "a.png: damaged") == "a.png: damaged"


def test_a_limit_takes_from_everywhere():
    assert spread(10, None) == spread(10, 99) == list(range(10))
    assert spread(100, 3) == [0, 50, 99]
    assert spread(5, 1) == [0]


def test_tables_align_words_left_and_numbers_right():
    lines = table(("name", "ms"), [("a", "1"), ("long", "22")], words=1).splitlines()
    assert [line.split() for line in lines[2:]] == [["a", "1"], ["long", "22"]]
    assert lines[2].startswith("a ")
    assert lines[2].endswith(" 1")
