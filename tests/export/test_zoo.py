"""Networks as strangers have them, from the command line: check, export, compress, decompress."""

import numpy as np
import onnx
import pytest
import tiny_networks
import tiny_onnx
import torch
from conftest import smooth_images
from PIL import Image

from aeedge.cli.main import main
from aeedge_export import adapt, adapt_onnx
from aeedge_runtime import Codec, load_picture

pytestmark = pytest.mark.torch

NETWORKS = [
    ("Plain", ()),
    ("Deep", ()),
    ("ChannelsLast", ()),
    ("TakesBytes", ()),
    ("Posterior", ("--pixels", "signed")),
    ("Distributed", ("--pixels", "imagenet")),
    ("OddDict", ("--latent", "code", "--decoded", "picture")),
    ("Draws", ("--latent", "1")),
    ("Multiples", ()),
    ("FlatDigits", ()),
    ("Positional", ()),
    ("Attention", ("--whole", "10000")),
    ("Normalized", ("--tile", "32x48")),
    ("Inference", ()),
]
PAIRS = {
    "opset 11": {"opset": 11},
    "opset 13, channels last": {"opset": 13, "last": True},
    "opset 17, uint8, channels last": {"opset": 17, "last": True, "whole_numbers": True},
    "opset 21": {"opset": 21},
    "fixed size": {"side": 32, "batch": 1, "opset": 11},
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number, image in enumerate(smooth_images(6, 66, 100, 3)):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


def run(*words):
    return main([str(word) for word in words])


def stays_close(words, model, photos, folder):
    """Export, code an image at the highest quality, and compare it with what the network itself makes of it."""
    bundle, stream, decoded = folder / "bundle", folder / "image.aee", folder / "decoded.png"
    assert not run("export", *words, "--data", photos, "-o", bundle)
    source = photos / "1.png"
    assert not run("compress", source, "-m", bundle, "-q", 100, "--no-stored-tiles", "-o", stream)
    assert not run("decompress", stream, "-m", bundle, "-o", decoded)
    codec = Codec.load(bundle)
    pixels = np.asarray(load_picture(source).pixels)
    if codec.bundle.manifest.image.channels == 1:
        pixels = np.asarray(Image.open(source).convert("L"))[..., None]
    found = np.asarray(Image.open(decoded)).reshape(pixels.shape).astype(float)
    rows, columns = (-(-size // step) * step for size, step in zip(pixels.shape[:2], model.stride, strict=True))
    padded = np.pad(pixels, ((0, rows - len(pixels)), (0, columns - pixels.shape[1]), (0, 0)), mode="edge")
    with torch.no_grad():
        image = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
        expected = model.decode(model.encode(image)).clamp(0, 1)[0].permute(1, 2, 0).numpy() * 255
    difference = np.abs(found - expected[: len(pixels), : pixels.shape[1]])
    assert difference.mean() < 3, difference.mean()


def flags_as_options(flags):
    """The keyword arguments of `adapt` for flags of the command line."""
    options = dict(zip((flag[2:] for flag in flags[::2]), flags[1::2], strict=True))
    options = {"output" if name == "decoded" else name: value for name, value in options.items()}
    options |= {name: int(options[name]) for name in ("whole", "latent") if options.get(name, "").isdecimal()}
    return options | ({"tile": (32, 48)} if "tile" in options else {})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "flags"), NETWORKS)
def test_a_network_codes_what_it_makes_of_an_image(name, flags, photos, tmp_path):
    torch.manual_seed(0)
    network = getattr(tiny_networks, name)()
    torch.save(network.state_dict(), tmp_path / "net.pt")
    words = (f"{tiny_networks.__file__}:{name}", "--weights", tmp_path / "net.pt", *flags)
    assert not run("check", *words, "--data", photos)
    stays_close(words, adapt(network, **flags_as_options(flags)), photos, tmp_path)


@pytest.mark.parametrize("name", PAIRS)
def test_two_onnx_files_code_what_they_make_of_an_image(name, photos, tmp_path):
    data = tiny_onnx.pair(**PAIRS[name])
    files = tmp_path / "e.onnx", tmp_path / "d.onnx"
    for file, content in zip(files, data, strict=True):
        file.write_bytes(content)
    words = ("--encoder", files[0], "--decoder", files[1])
    assert not run("check", *words, "--data", photos)
    stays_close(words, adapt_onnx(*data), photos, tmp_path)


def test_weights_next_to_an_onnx_file_reach_the_bundle(photos, tmp_path):
    files = tmp_path / "e.onnx", tmp_path / "d.onnx"
    for file, model in zip(files, (tiny_onnx.encoder(), tiny_onnx.decoder()), strict=True):
        onnx.save(model, file, save_as_external_data=True, location=f"{file.stem}.bin", size_threshold=0)
    stays_close(("--encoder", files[0], "--decoder", files[1]), adapt_onnx(*tiny_onnx.pair()), photos, tmp_path)
