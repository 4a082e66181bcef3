import multiprocessing
import os
import signal

import numpy as np
import pytest
import torch

from aeedge.training.data.augmentation import Augmentation
from aeedge.training.data.batches import BatchSource, StepInfo, prepare, sample_size
from aeedge.training.data.corruption import Corruption
from aeedge.training.data.datasets import (
    ArrayImages,
)
from aeedge_runtime.errors import ArgumentError

pytestmark = pytest.mark.torch


def number_images(count, size=4):
    images = np.zeros((count, size, size, 1), np.uint8)
    images[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return ArrayImages(images)


def test_an_epoch_visits_every_image_once():
    source = BatchSource(number_images(10), Augmentation((4, 4)), 4, seed=5)
    seen = np.concatenate([source.indices(step, 0, 4) for step in range(5)])
    assert sorted(seen[:10]) == list(range(10))
    assert sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) != list(seen[10:])


def test_parts_make_up_the_batch():
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (9, 12, 14, 3), dtype=np.uint8))
    augmentation = Augmentation((8, 8), flip=True, turn=True, shrink=0.7)
    source = BatchSource(images, augmentation, 6, seed=1, corruption=Corruption("gaussian", 0.2))
    whole = source.part(3, 0, 6)
    halves = [source.part(3, first, 3) for first in (0, 3)]
    for name in ("target", "source"):
        together = np.concatenate([getattr(half, name).numpy() for half in halves])
        assert np.array_equal(together, getattr(whole, name).numpy())


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_whoever_prepares_them(workers):
    source = BatchSource(number_images(10), Augmentation((4, 4)), 4, seed=5, corruption=Corruption("mask", 0.5))
    places = [(0, 2), (2, 2)]
    found = list(source.parts(3, 9, places, workers=workers))
    assert len(found) == 6
    for step, parts in enumerate(found, 3):
        for part, (first, count) in zip(parts, places, strict=True):
            expected = source.part(step, first, count)
            assert np.array_equal(part.target.numpy(), expected.target.numpy())
            assert np.array_equal(part.source.numpy(), expected.source.numpy())


def test_sigterm_to_all_processes_leaves_the_batches_coming():
    """The training process stops after its step; until then it needs them."""
    source = BatchSource(number_images(10), Augmentation((4, 4)), 4, seed=5)
    before = set(multiprocessing.active_children())
    coming = source.parts(0, 12, [(0, 4)], workers=2)
    next(coming), next(coming)  # one of each process: both have started
    workers = set(multiprocessing.active_children()) - before
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker.pid, signal.SIGTERM)
    assert len(list(coming)) == 10


@pytest.mark.parametrize("draw", [torch.Tensor.uniform_, torch.Tensor.normal_])
def test_what_a_device_draws_for_a_sample_depends_on_its_place_alone(draw):
    def drawn(first, count, step=3, purpose="x"):
        return StepInfo(step, 10, 1, first).drawn_there(purpose, torch.empty(count, 4, 5), draw)

    whole = drawn(0, 6)
    assert torch.equal(whole[2:5], drawn(2, 3))
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(whole, drawn(0, 6, step=4))
    assert not torch.equal(whole, drawn(0, 6, purpose="y"))


def test_a_batch_on_a_device_has_the_range_and_order_of_networks():
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    batch = prepare(pixels, None, seed=0, step=0, first=0).on(torch.device("cpu"), channels_last=True)
    assert batch.source is batch.target
    assert batch.target.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(batch.target.permute(0, 2, 3, 1).numpy(), pixels / np.float32(255))


class Mixed:
    """Two images of two sizes."""

    def __len__(self):
        return 2

    def image(self, index):
        return np.zeros((16, 16 * (index + 1), 1), np.uint8)


def test_held_out_images_of_another_size_are_found_before_training():
    with pytest.raises(ArgumentError, match=r"the images differ in size; set data\.crop"):
        sample_size([number_images(3, 32), number_images(1, 16)], None, (16, 16), False)


def test_sample_size():
    assert sample_size([number_images(3, 16)], None, (16, 16), False) == (16, 16)
    assert sample_size([number_images(3, 40)], None, (16, 16), True) == (16, 16)
    with pytest.raises(ArgumentError, match="multiples of the model's stride"):
        sample_size([number_images(3, 20)], None, (16, 16), False)
    with pytest.raises(ArgumentError, match=r"differ in size; set data\.crop"):
        sample_size([Mixed()], None, (16, 16), False)
    assert sample_size([number_images(3, 32)], (32, 32), (16, 16), False) == (32, 32)
    for side, crop in ((10, None), (16, (32, 16)), (16, (16, 32))):
        with pytest.raises(ArgumentError, match="smaller than the training sample"):
            sample_size([number_images(3, side)], crop, (16, 16), crop is None)
