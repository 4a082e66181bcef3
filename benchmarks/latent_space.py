"""Features and generation on MNIST: what latents know of the digits, and whether samples are digits.

    python benchmarks/latent_space.py --data-dir DATA [--runs runs]

Samples are judged by a small classifier (784-256-10) that is trained here on real digits: how many it is sure of, and
how they spread over the ten classes.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mnist_runs import Pixels, mnist, preset_config, require_bundle, require_run, save_picture, save_results
from numpy.typing import NDArray
from torch import nn

from aeedge.applications.features import Features, draw_features, principal_components
from aeedge.applications.generation import interpolate, sample, sample_posterior
from aeedge.mosaic import mosaic
from aeedge_runtime import Codec
from aeedge_runtime.images.psnr import psnr_db

MODELS = ("dense-mnist", "dense-mnist-deep", "linear-mnist", "vae-mnist", "vae-mnist-deep")
KNOWN, DRAWN, NEIGHBOURS, EPOCHS = 20_000, 5_000, 5, 3
SURE = 0.9
"""Probability of the likeliest class from which on the classifier is sure."""


def nearest_accuracy(
    known: NDArray[np.float32], classes: NDArray[np.int64], asked: NDArray[np.float32], truth: NDArray[np.int64]
) -> float:
    """Return how often the majority of the five nearest known rows has the class of a row."""
    lengths = np.square(known).sum(axis=1)
    right = 0
    for start in range(0, len(asked), 500):
        distance = lengths - 2 * asked[start : start + 500] @ known.T
        votes = classes[np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]]
        counts = np.stack([(votes == digit).sum(axis=1) for digit in range(10)], axis=1)
        right += int((counts.argmax(axis=1) == truth[start : start + 500]).sum())
    return right / len(asked)


def features(data_dir: str, codecs: dict[str, Codec], pictures: Path) -> dict[str, Any]:
    """Classify test digits by their nearest neighbours among training digits, in pixels and in latents."""
    known, classes = mnist(data_dir, "train", KNOWN)
    asked, truth = mnist(data_dir, "test")
    spaces = {"pixels": tuple(images.reshape(len(images), -1).astype(np.float32) / 255 for images in (known, asked))}
    for name, codec in codecs.items():
        spaces[name] = tuple(codec.encode_batch(images).reshape(len(images), -1) for images in (known, asked))
    rows = []
    for name, (left, right) in spaces.items():
        shares = principal_components(right)[1]
        accuracy = nearest_accuracy(left, classes, right, truth)
        values = right.shape[1]
        rows.append({"space": name, "values": values, "accuracy": accuracy, "two_components": float(shares.sum())})
        print(rows[-1], flush=True)
        if name == "dense-mnist-deep":
            names = np.array([str(index) for index in range(len(right))])
            drawn = Features(right[:3000], names[:3000], truth[:3000].astype(str))
            pictures.mkdir(parents=True, exist_ok=True)
            (pictures / "latents.png").write_bytes(draw_features(drawn, f"latents of 3,000 test digits, {name}"))
    return {"known": KNOWN, "asked": len(asked), "neighbours": NEIGHBOURS, "rows": rows}


def classifier(images: Pixels, digits: NDArray[np.int64]) -> nn.Module:
    """Return a classifier trained on real digits."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    pixels, classes = torch.from_numpy(images).float() / 255, torch.from_numpy(digits)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(pixels)).split(128):
            loss = nn.functional.cross_entropy(model(pixels[chosen]), classes[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


@torch.no_grad()
def judged(model: nn.Module, images: Pixels) -> dict[str, Any]:
    """Return how sure the classifier is, and how the images spread over the classes."""
    chances = model(torch.from_numpy(images).float() / 255).softmax(1)
    best, classes = chances.max(1)
    shares = torch.bincount(classes, minlength=10) / len(images)
    return {"sure": float((best >= SURE).float().mean()), "class_shares": [round(float(share), 4) for share in shares]}


def generation(data_dir: str, codecs: dict[str, Codec], pictures: Path) -> dict[str, Any]:
    """Judge samples of the vaes, and of an ordinary model whose latents are drawn from a normal fitted to them."""
    model = classifier(*mnist(data_dir, "train"))
    test, digits = mnist(data_dir, "test")
    with torch.no_grad():
        answers = model(torch.from_numpy(test).float() / 255).argmax(1).numpy()
    rows = {"test digits": judged(model, test)}
    for name in ("vae-mnist", "vae-mnist-deep"):
        rows[name] = judged(model, sample(codecs[name], DRAWN, seed=0))
    plain = codecs["dense-mnist"]
    latents = plain.encode_batch(test)
    noise = np.random.default_rng(0).standard_normal((DRAWN, *latents.shape[1:]), dtype=np.float32)
    drawn = plain.decode_batch(latents.mean(axis=0) + latents.std(axis=0) * noise, (28, 28))
    rows["dense-mnist, fitted normal"] = judged(model, drawn)
    for name, row in rows.items():
        print(name, row, flush=True)
    codec = codecs["vae-mnist"]
    save_picture(pictures / "samples.png", mosaic(sample(codec, 64, seed=0), 16, gap=2))
    ways = [interpolate(codec, test[a], test[b], 12) for a, b in ((0, 1), (2, 4), (7, 3))]
    save_picture(pictures / "interpolation.png", mosaic(np.concatenate(ways), 12, gap=2))
    same = [sample_posterior(codec, test[index], 8, seed=0) for index in range(100)]
    spread = float(np.mean([psnr_db(images, test[[index] * 8]) for index, images in enumerate(same)]))
    accuracy = float((answers == digits).mean())
    return {"drawn": DRAWN, "classifier_accuracy": accuracy, "posterior_psnr_db": spread, "rows": rows}


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--pictures", type=Path, default=Path("docs/applications"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/applications.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    configs = {name: preset_config(name, options.data_dir) for name in MODELS}
    codecs = {name: require_bundle(require_run(options.runs / name, config)) for name, config in configs.items()}
    results = {
        "features": features(options.data_dir, codecs, options.pictures),
        "generation": generation(options.data_dir, codecs, options.pictures),
    }
    save_results(options.out, sys.argv, results)


if __name__ == "__main__":
    main()
