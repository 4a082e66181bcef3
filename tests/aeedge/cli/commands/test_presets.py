from aeedge.presets import PRESETS


def test_presets_lists_all(aeedge):
    done = aeedge("presets")
    assert done.code == 0
    assert all(name in done.text for name in PRESETS)
    assert [entry["name"] for entry in aeedge("presets", "--json").json["presets"]] == list(PRESETS)
