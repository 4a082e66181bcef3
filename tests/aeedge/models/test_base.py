import pytest
import torch

from aeedge.models.base import join_patches, split_patches
from aeedge_runtime.errors import ArgumentError

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def test_split_and_join_undo_each_other():
    image = torch.rand(2, 3, 12, 20)
    assert torch.equal(join_patches(split_patches(image, (4, 5)), (3, 4)), image)
    assert torch.equal(split_patches(image, (4, 5))[1], image[0, :, :4, 5:10])
    with pytest.raises(ArgumentError, match="not a multiple"):
        split_patches(image, (5, 5))
