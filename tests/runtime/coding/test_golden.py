"""The golden streams, read by the slow decoder that was written from FORMAT.md alone."""

import json

import pytest
from reference_decoder import Model, decode_stream
from reference_priors import factorized, hyperprior, tables_of
from tiny import BUNDLES, NAMES

from aeedge_runtime.bundle.tables import read_array, read_arrays

CASES = ("disk", "disk-fine", "dot", "ramp")
SIZES = {"disk": (20, 27), "disk-fine": (20, 27), "dot": (1, 1), "ramp": (9, 40)}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_the_reference_decoder_reads_golden_streams(name: str, case: str) -> None:
    folder = BUNDLES / name
    arrays = read_arrays((folder / "entropy.npz").read_bytes())
    data = (folder / "golden" / f"{case}.aee").read_bytes()
    height, width = SIZES[case]
    model = Model(data[5:13], (8, 8), len(arrays["offsets"]), 4 if "scale_tables" in arrays else 1)
    own = json.loads((folder / "manifest.json").read_text())["prior"].get("groups", [8])[0]
    columns = -(-width // 8)
    passes = hyperprior(arrays, columns, own) if "scale_tables" in arrays else factorized(arrays, columns)
    decoded = decode_stream(data, model, tables_of(arrays), passes)
    assert (decoded.count, decoded.height, decoded.width) == (1, height, width)
    assert decoded.gray == (name in ("tiny-dense", "tiny-vae"))
    symbols = [symbol for chunk in decoded.chunks for part in chunk for symbol in part]
    assert symbols == read_array((folder / "golden" / f"{case}.symbols.npy").read_bytes()).tolist()
