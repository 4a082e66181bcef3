import numpy as np
import pytest
from chains import error_against, outputs, types_of

from aeedge_export.precision.float16 import halve

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:quality .* does not take more bytes")]


def test_half_of_the_bytes_in_float16(chain):
    model, feeds = chain
    halved = halve(model)
    assert halved.ByteSize() < 0.7 * model.ByteSize()
    assert types_of(halved) == types_of(model)
    assert error_against(model)(halved, feeds) < 2e-3 * np.sqrt(np.mean(np.square(outputs(model, feeds))))
