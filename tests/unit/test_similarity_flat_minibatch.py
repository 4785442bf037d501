"""Minibatch CKA of a layer in which all images but one are equal: undefined, as `cka_debiased` is."""

import pytest
from test_similarity_flat import BLOCK, normal, outlier, passed

from repsim.similarity.kernel_functions import cka_minibatch


@pytest.mark.parametrize("rounding", [0.0, 6e-8])
def test_minibatch_cka_of_equal_images_and_one_outlier_is_undefined(rounding):
    x, y = outlier(rounding), normal(40, 6, seed=5)
    for found in (cka_minibatch(x, y), cka_minibatch(x, y, batch=BLOCK), *passed("cka_minibatch", x, y)):
        assert (found.value, found.status) == (None, "the images of every batch are equally alike")
