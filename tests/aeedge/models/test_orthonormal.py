import pytest

torch = pytest.importorskip("torch")
from aeedge.models.orthonormal import analysis_matrices, color_rotation, cosine_basis  # noqa: E402

pytestmark = pytest.mark.torch


def test_linear_path_starts_orthonormal():
    stem, down = analysis_matrices(3, 48, 40)
    for rows in (stem, down):
        assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=1e-5)
    for basis in (cosine_basis(8), color_rotation(3)):
        assert torch.allclose(basis @ basis.T, torch.eye(len(basis), dtype=torch.float64), atol=1e-12)
