"""Finite differences are exact for the polynomials of their order, except at the edges."""

import pytest
import torch

from mld_closure.models.differences import advection, gradient, laplacian

Y, X = torch.meshgrid(
    torch.arange(7, dtype=torch.float64), torch.arange(9, dtype=torch.float64), indexing="ij"
)
INSIDE = (..., slice(1, -1), slice(1, -1))


def as_field(q):
    return q.expand(1, 1, *Y.shape)


@pytest.mark.parametrize(
    ("q", "dx", "dy", "curvature"),
    [
        (3 * X - 2 * Y + 5, 3 + 0 * X, -2 + 0 * X, 0 * X),
        (X**2 + 3 * Y**2 - X * Y, 2 * X - Y, 6 * Y - X, 8 + 0 * X),
    ],
)
def test_exact_inside_for_linear_and_quadratic_fields(q, dx, dy, curvature):
    along_x, along_y = gradient(as_field(q))
    torch.testing.assert_close(along_x[INSIDE], as_field(dx)[INSIDE])
    torch.testing.assert_close(along_y[INSIDE], as_field(dy)[INSIDE])
    torch.testing.assert_close(laplacian(as_field(q))[INSIDE], as_field(curvature)[INSIDE])
    moved = advection(as_field(q), as_field(2 + 0 * X), as_field(X))
    torch.testing.assert_close(moved[INSIDE], as_field(-2 * dx - X * dy)[INSIDE])


def test_edges_repeat_their_pixel():
    along_x, _ = gradient(as_field(X))
    assert along_x[0, 0, 3, [0, 4, 8]].tolist() == [0.5, 1.0, 0.5]
    assert laplacian(as_field(X))[0, 0, 3, [0, 4, 8]].tolist() == [1.0, 0.0, -1.0]
