from importlib.metadata import EntryPoint

import pytest
import tiny_networks as tiny

from aeedge_export import ExportError, adapt
from aeedge_export.networks import libraries

pytestmark = pytest.mark.torch


def options(network):
    network.switched = True
    return {"pixels": "signed", "encode": "second", "decode": "first", "size": (16, 16)}


def wrong(network):
    return {"colors": "rgb"}


@pytest.fixture
def adapter(monkeypatch):
    def register(function, package=tiny.__name__):
        points = [
            EntryPoint("elsewhere", "no_such_module:options", libraries.GROUP),
            EntryPoint(package, "a:b", libraries.GROUP),
        ]
        monkeypatch.setattr(EntryPoint, "load", lambda point: {"a:b": function}[point.value])
        monkeypatch.setattr(libraries, "entry_points", lambda group: points if group == libraries.GROUP else [])

    return register


def test_an_adapter_speaks_for_the_networks_of_its_package(adapter):
    adapter(options)
    network = tiny.Nameless()
    with pytest.raises(ExportError):
        adapt(network)  # second and first are the wrong way around
    model = adapt(network, encode="first", decode="second")
    assert (model.pixels.name, model.stride, model.patched) == ("signed", (16, 16), True)
    assert not hasattr(network, "switched")


def test_what_is_declared_goes_before_the_adapter(adapter):
    adapter(options)
    model = adapt(tiny.Nameless(), pixels="bytes", encode="first", decode="second", tile=(8, 8))
    assert (model.pixels.name, model.stride) == ("bytes", (8, 8))


def test_adapters_of_other_packages_are_not_loaded(adapter):
    adapter(options, package="another")
    assert adapt(tiny.Plain()).pixels.name == "unit"


def test_an_adapter_with_an_unknown_option_is_named(adapter):
    adapter(wrong)
    with pytest.raises(ExportError, match="colors"):
        adapt(tiny.Plain())
