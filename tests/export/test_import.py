import pytest


def test_the_package_has_no_other_names():
    import aeedge_export

    with pytest.raises(AttributeError, match="module 'aeedge_export' has no attribute"):
        aeedge_export.exprot_run  # noqa: B018
