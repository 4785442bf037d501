"""Products of rows with themselves are what the definition says, whichever way they are formed."""

import pytest
import torch

from repsim.similarity.symmetric import FEW, own_products


@pytest.fixture(autouse=True, params=[1, 2])
def threads(request):
    """One, where half of the products are formed, and more, where all are."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(FEW + 8, 5), (3, FEW + 1, 70), (2, FEW - 1, 9), (1, FEW, 1)])
def test_products_of_rows_with_themselves_are_symmetric_and_exact(shape, dtype):
    rows = torch.randint(-8, 9, shape, generator=torch.Generator().manual_seed(0)).to(dtype)  # whole numbers: nothing is rounded
    found = own_products(rows)
    right = rows.double() @ rows.double().mT
    assert found.dtype == dtype
    assert torch.equal(found, found.mT)
    if dtype is not torch.bfloat16:
        assert torch.equal(found.double(), right)
    torch.testing.assert_close(found.double(), right, rtol=1e-2, atol=0)


def test_products_that_are_too_large_are_infinite_and_nothing_warns(recwarn):
    assert own_products(torch.full((2 * FEW, 4), 1e25)).isinf().all()
    assert not recwarn.list


def test_rows_that_are_a_view_are_read_as_they_are_and_left_alone():
    whole = torch.randn(50, 3 * FEW, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows, before = whole.mT[: 2 * FEW], whole.clone()
    torch.testing.assert_close(own_products(rows), rows @ rows.mT, rtol=1e-13, atol=1e-13)
    assert torch.equal(whole, before)
