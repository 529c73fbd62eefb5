"""What a model is made of, as far as mapping a file asks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import pixelwise as pw
from pixelwise.inference.models import as_raster_model, final_step
from pixelwise.operators.base import Operator
from pixelwise.registry import halo_of


class Wide(Operator):
    """Looks three pixels round."""

    halo = 3


@pytest.mark.parametrize(
    ("model", "halo"),
    [
        (pw.indices.NDVI(red=0, nir=1), 0),
        (Wide(), 3),
        (make_pipeline(Wide(), Wide(), pw.PixelwiseRegressor(Ridge())), 6),
        (pw.indices.AppendIndex(Wide()), 3),
        (make_pipeline("passthrough", Wide()), 3),
        (GridSearchCV(make_pipeline(Wide(), pw.PixelwiseRegressor(Ridge())), {}), 3),
        (object(), 0),
    ],
)  # fmt: skip
def test_halos_add_up_along_a_pipeline_and_count_inside_operators(model: object, halo: int) -> None:
    assert halo_of(model) == halo


def test_the_halo_of_a_fitted_search_is_that_of_its_best_estimator() -> None:
    search = GridSearchCV(Ridge(), {}, cv=2).fit(np.arange(8.0)[:, None], np.arange(8.0))
    search.best_estimator_ = make_pipeline(Wide(), Ridge())
    assert halo_of(search) == 3
    assert isinstance(final_step(search), Ridge)


def test_the_path_of_a_model_is_no_model() -> None:
    with pytest.raises(TypeError, match=r"model='forest\.pixelwise' is a path: read the model"):
        as_raster_model("forest.pixelwise", "predict")
