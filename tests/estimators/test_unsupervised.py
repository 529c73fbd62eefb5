from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.cluster import DBSCAN, KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw


def test_methods_are_there_only_where_the_estimator_has_them() -> None:
    assert not hasattr(pw.PixelwiseClusterer(DBSCAN()), "predict")
    assert not hasattr(pw.PixelwiseTransformer(StandardScaler()), "score_samples")


def test_components_come_back(raster: xr.DataArray, Xy: Any) -> None:
    pca = pw.PixelwiseTransformer(PCA(4)).fit(raster)
    components = pca.transform(raster)
    assert components.band.values.tolist() == ["pca0", "pca1", "pca2", "pca3"]
    back = pca.inverse_transform(components)
    assert back.band.values.tolist() == raster.band.values.tolist()
    assert np.allclose(back, raster, atol=0.05)
    table = pca.transform(Xy[0])
    assert isinstance(table, pw.PixelTable)
    assert np.allclose(np.asarray(table), pw.ToPixelMajor()(components)[Xy[0].pixel], atol=1e-2)
    assert np.allclose(pca.inverse_transform(table), np.asarray(Xy[0]), atol=0.05)
    assert np.isfinite(pca.score(raster))
    assert pca.score_samples(raster).dims == ("y", "x")


def test_a_scaler_keeps_the_band_names(raster: xr.DataArray) -> None:
    scaled = pw.PixelwiseTransformer(StandardScaler()).fit_transform(raster)
    assert scaled.band.values.tolist() == raster.band.values.tolist()
    assert scaled.values.mean() == pytest.approx(0, abs=1e-4)
    lazy = pw.PixelwiseTransformer(StandardScaler()).fit(raster).transform(raster.chunk({"x": 9}))
    assert np.allclose(lazy.compute(), scaled)


def test_set_output_is_for_tables_alone(raster: xr.DataArray, Xy: Any) -> None:
    pca = pw.PixelwiseTransformer(PCA(2)).set_output(transform="pandas").fit(Xy[0])
    assert pca.set_output() is pca
    assert pca.transform(Xy[0]).columns.tolist() == ["pca0", "pca1"]
    assert isinstance(pca.transform(raster), xr.DataArray)
    assert clone(pca).fit(Xy[0]).transform(Xy[0]).columns.tolist() == ["pca0", "pca1"]


def test_clusters_are_mapped(raster: xr.DataArray, Xy: Any) -> None:
    clusters = pw.PixelwiseClusterer(KMeans(3, random_state=0, n_init=1), output_dtype="uint8")
    out = clusters.fit_predict(raster)
    assert (out.dims, out.rio.nodata) == (("y", "x"), 255)
    assert np.array_equal(out.values.ravel(), clusters.labels_)
    assert clusters.transform(raster).sizes["band"] == 3
    assert clusters.fit_transform(Xy[0]).shape == (1200, 3)
    assert np.isfinite(clusters.score(raster))
    assert clusters.fit_predict(Xy[0]).shape == (1200,)


def test_a_clusterer_without_predict_maps_what_it_was_fitted_on(holes: xr.DataArray) -> None:
    out = pw.PixelwiseClusterer(DBSCAN(eps=100, min_samples=5)).fit_predict(holes)
    assert out.rio.nodata not in set(np.unique(out.values[1:, 40:]).tolist())
    assert (out.values[:, :40] == out.rio.nodata).all()


def test_a_table_step_of_a_pipeline(raster: xr.DataArray) -> None:
    step = pw.RasterToPixelTransformer()
    labels = make_pipeline(step, KMeans(2, random_state=0, n_init=1)).fit_predict(raster)
    assert labels.shape == (4800,)
    assert step.inverse_transform(labels).rio.crs == raster.rio.crs
    assert step.inverse_transform(labels, like=raster.values).shape == (60, 80)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int32", "float64"])
@pytest.mark.parametrize("fitted_on", ["float32", "float64"])
def test_clusters_are_found_in_rasters_of_any_dtype(dtype: str, fitted_on: str) -> None:
    rows = np.random.default_rng(0).integers(0, 200, (300, 3)).astype(fitted_on)
    raster = np.ascontiguousarray(rows[:120].T.reshape(3, 10, 12)).astype(dtype)
    for inner in (KMeans(3, n_init=1, random_state=0), make_pipeline(StandardScaler(), MiniBatchKMeans(3, random_state=0))):
        inner.fit(rows)
        found = pw.PixelwiseClusterer(inner).predict(raster)
        assert np.array_equal(np.ravel(found), inner.predict(rows[:120]))
