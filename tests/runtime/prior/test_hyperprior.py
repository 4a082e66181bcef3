import numpy as np
import pytest
from tiny import BUNDLES, picture

from aeedge_runtime import BundleError, Codec
from aeedge_runtime.entropy.chunk import run_passes
from aeedge_runtime.prior.hyperprior import HyperPrior
from aeedge_runtime.prior.passes import SymbolWriter
from aeedge_runtime.stream.layout import Span


@pytest.mark.parametrize("forged", [128, -128, 32767, -32767])
def test_hyper_symbols_of_a_forged_stream_are_clipped(forged):
    codec = Codec.load(BUNDLES / "tiny-hyper", threads=1)
    prior = codec._networks.prior(compress=False)
    inner, seen = prior._graphs["prior"], []

    class Watched:
        def run(self, feeds):
            seen.append(next(value for name, value in feeds.items() if name.startswith("hyper")))
            return inner.run(feeds)

    prior._graphs["prior"] = Watched()
    walk = prior.walk(50, Span(0, 1, 0, 2), 2, None)
    run_passes(walk, lambda asked: np.full(len(asked.tables), forged if not seen else 0, np.int16))
    assert np.unique(seen[0]).tolist() == [np.clip(forged, -127, 127)]


COUNTS = [("prior", 2), ("prior", 5), ("context", 1), ("context", 4), ("group_1", 1), ("group_1", 3)]


@pytest.mark.parametrize(("graph", "count"), COUNTS)
def test_a_graph_with_another_number_of_outputs(graph, count):
    codec = Codec.load(BUNDLES / "tiny-groups", threads=1)
    prior = codec._networks.prior(compress=True)
    assert isinstance(prior, HyperPrior)
    inner = prior._graphs[graph]

    class Other:
        def run(self, feeds):
            return (inner.run(feeds) * 3)[:count]

    prior._graphs[graph] = Other()
    latent = codec.encode(picture(20, 30, 3))[None]
    walk = prior.walk(50, Span(0, 1, 0, latent.shape[2]), latent.shape[3], latent)
    with pytest.raises(BundleError, match=rf"{count} outputs, expected"):
        SymbolWriter(codec.bundle.tables).run(walk)
