import aeedge_runtime


def test_public_names_are_sorted_and_importable() -> None:
    names = aeedge_runtime.__all__
    assert names == sorted(names)
    assert dir(aeedge_runtime) == sorted(names)
    for name in names:
        assert getattr(aeedge_runtime, name).__doc__


def test_unknown_names_are_attribute_errors() -> None:
    assert not hasattr(aeedge_runtime, "Codecs")
