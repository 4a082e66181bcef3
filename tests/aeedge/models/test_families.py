import pytest
import torch

from aeedge.models import build_model, count_parameters, macs_per_pixel, model_config
from aeedge.presets import PRESETS
from aeedge_runtime.errors import ArgumentError

pytestmark = pytest.mark.torch

SMALL = {
    "dense": {"family": "dense", "height": 8, "width": 12, "hidden": [16], "latent": 5},
    "dense-conv": {"family": "dense", "channels": 3, "height": 8, "width": 8, "convolutions": [4, 6], "hidden": [9]},
    "dense-linear": {"family": "dense", "hidden": [], "activation": "none", "output": "linear", "signed": True},
    "vae": {"family": "vae", "height": 8, "width": 8, "hidden": [16], "latent": 3},
    "conv": {"family": "conv", "width": 16, "latent": 24, "hidden": 8},
    "conv-gray": {"family": "conv", "channels": 1, "width": 16, "latent": 24, "hidden": 8},
}
PATCHES = (
    *({"latent": size} for size in (0, -1, 10**9)),
    *({"hidden": [size]} for size in (0, -1)),
    *({"convolutions": [size]} for size in (0, -1)),
    *({name: size} for name in ("height", "width") for size in (0, -1)),
    *({"channels": size} for size in (0, 2, 4)),
    *({"kernel": size, "convolutions": [4]} for size in (0, -1, 4)),
)
IMPOSSIBLE = {
    "dense": PATCHES,
    "vae": PATCHES,
    "conv": (
        *({"channels": size} for size in (0, 2)),
        *({"width": size} for size in (0, -1, 193)),
        {"width": 65, "channels": 1},
        *({"latent": size, "width": 16} for size in (0, 65)),
        *({"hidden": size} for size in (0, -1)),
        *({name: size} for name in ("encoder_blocks", "decoder_blocks") for size in ([-1, 1], [1, 10**9])),
        *({"gain": gain} for gain in (0.0, -1.0, float("nan"), float("inf"))),
    ),
    "hyperprior": (
        {"channels": 2},
        *({"width": size} for size in (0, 8, 193, 500)),
        *({name: 0} for name in ("latent_channels", "hidden", "decoder_hidden", "hyper_channels")),
        *({"levels": number} for number in (-1, 0, 1)),
        *({"group_hidden": sizes} for sizes in ([0, 8], [8, -1])),
        *({"groups": sizes} for sizes in ([], [0, 320], [-1, 321], [319])),
        *({"encoder_blocks": sizes} for sizes in ([-1, 1], [1, 10**9])),
        *({"smallest_lambda": value} for value in (0.0, -1.0, 0.12, 1.0)),
        *({"largest_lambda": value} for value in (0.0, 0.0013)),
        *({"beyond": value} for value in (0.0, 0.99, float("inf"))),
    ),
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", SMALL)
def test_shapes_follow_the_stride(name):
    model = build_model(SMALL[name]).eval()
    rows, columns = model.stride
    image = torch.rand(2, model.channels, rows * 2, columns * 3)
    latent = model.encode(image)
    assert latent.shape == (2, model.latent_channels, 2, 3)
    assert model.decode(latent).shape == image.shape


@pytest.mark.parametrize("name", ["dense", "dense-conv", "vae"])
def test_patches_do_not_see_each_other(name):
    model = build_model(SMALL[name]).eval()
    rows, columns = model.stride
    image = torch.rand(1, model.channels, rows * 2, columns * 2)
    whole = model(image)
    corner = model(image[:, :, rows:, columns:])
    torch.testing.assert_close(whole[:, :, rows:, columns:], corner)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_state_their_size(name):
    preset = PRESETS[name]
    with torch.device("meta" if name == "conv-stl10" else "cpu"):
        model = build_model(preset.model)
    assert count_parameters(model) == preset.parameters
    if name != "conv-stl10":
        assert tuple(round(value) for value in macs_per_pixel(model)) == preset.macs_per_pixel


def test_weights_lie_under_the_halves():
    for values in SMALL.values():
        assert {name.split(".")[0] for name in build_model(values).state_dict()} == {"encoder", "decoder"}


@pytest.mark.parametrize(
    "values", [{"family": "dens"}, {}, {"family": "dense", "hiden": [3]}, {"family": "vae", "latent": "x"}]
)
def test_wrong_configs_are_refused(values):
    with pytest.raises(ArgumentError):
        model_config(values)


@pytest.mark.parametrize(
    ("family", "change"), [(family, change) for family, changes in IMPOSSIBLE.items() for change in changes]
)
def test_impossible_sizes_are_refused_by_key(family, change):
    with pytest.raises(ArgumentError, match=r"found .* expected") as caught:
        model_config({"family": family, **change})
    key = "latent_channels" if change == {"width": 8} else next(iter(change))
    assert f"model.{key}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sizes_that_no_memory_holds_are_one_line():
    with pytest.raises(ArgumentError, match="cannot be built") as caught:
        build_model({"family": "dense", "height": 65536, "width": 65536, "hidden": [65536]})
    assert "\n" not in str(caught.value)
