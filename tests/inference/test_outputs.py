"""Several maps of one scene: each chip is read once, each map is that of its method, and all appear together or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scipy.stats import entropy
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pixelwise as pw
from pixelwise.errors import LabelError, MemoryBudgetError, RasterWriteError
from pixelwise.operators.base import Operator

BOTH = ("predict", "predict_proba")


class Counted(Operator):
    """Adds one, and counts how often."""

    halo = 2
    calls = 0

    def apply(self, raster: pw.Raster) -> pw.Raster:
        type(self).calls += 1
        return raster.with_values(raster.values + 1)


@pytest.fixture(scope="module")
def pixels(example: tuple[Path, Path]) -> tuple[pw.PixelTable, np.ndarray]:
    X, y = pw.extract_pixels(*example, column="class")
    return X[::3], y[::3]


@pytest.fixture
def model(pixels: Any) -> pw.PixelwiseClassifier:
    return pw.PixelwiseClassifier(LogisticRegression(max_iter=500)).fit(*pixels)


@pytest.fixture
def scene(write: Callable[..., Path], values: np.ndarray) -> Path:
    cube = np.tile(values, (1, 4, 5))
    cube[:, 30:60, 100:300] = 0
    return write(cube, names=("B02", "B03", "B04", "B08"), nodata=0, tiled=True, blockxsize=32, blockysize=16)


def in_folder(folder: Path, methods: Any = BOTH) -> dict[str, Path]:
    return {method: folder / f"{method}.tif" for method in methods}


def tight(model: Any, scene: Path, dst: Any, **options: Any) -> int:
    """Return the least memory that is enough."""
    with pytest.raises(MemoryBudgetError) as caught:
        pw.predict_raster(model, scene, dst, memory=1, **options)
    return int(caught.value.values["needed"])


def everything(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("kind", ["classifier", "forest", "pipeline", "sequential", "search", "bare"])
def test_each_map_is_that_of_its_method(scene: Path, pixels: Any, tmp_path: Path, kind: str, workers: int | None) -> None:
    forest = pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0))
    ndvi = pw.indices.AppendIndex(pw.indices.NDVI(red="B04", nir="B08"))
    model = {
        "classifier": pw.PixelwiseClassifier(LogisticRegression(max_iter=500)),
        "forest": forest,
        "pipeline": make_pipeline(ndvi, "passthrough", Counted(), forest),
        "sequential": pw.Sequential([ndvi, pw.Sequential([Counted(), forest])]),
        "search": GridSearchCV(make_pipeline(ndvi, forest), {"pixelwiseclassifier__nan": ["mask", "impute"]}, cv=2),
        "bare": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
    }[kind]
    X, y = (np.asarray(pixels[0]), pixels[1]) if kind == "bare" else pixels
    model = model.fit(X, y) if kind not in ("pipeline", "sequential") else made_of(model, ndvi, forest, X, y)
    paths, total = in_folder(tmp_path), []
    made = pw.predict_raster(
        model, scene, paths, memory=tight(model, scene, paths), workers=workers, progress=lambda _, count: total.append(count)
    )
    assert made == paths
    assert len(total) > 1
    for method, path in paths.items():
        alone = pw.predict_raster(model, scene, tmp_path / "alone.tif", method=method)
        np.testing.assert_array_equal(pw.unwrap(path).values, pw.unwrap(alone).values)
        if kind != "bare":
            np.testing.assert_array_equal(pw.unwrap(path).cube, pw.unwrap(getattr(model, method)(pw.open_raster(scene))).cube)


def made_of(model: Any, ndvi: Any, forest: Any, X: Any, y: Any) -> Any:
    """Fit the forest of a pipeline on the table, as an operator with a halo would read the rasters again."""
    more = ndvi.transform(X)
    forest.fit(more.with_bands(np.asarray(more) + 1, more.band_names), y)
    return model


def test_what_stands_in_front_of_the_last_step_is_applied_once_a_chip(scene: Path, model: Any, tmp_path: Path) -> None:
    chips: list[int] = []
    piped = make_pipeline(Counted(), model)
    Counted.calls = 0
    pw.predict_raster(piped, scene, in_folder(tmp_path), progress=lambda done, _: chips.append(done))
    assert Counted.calls == len(chips)


def test_the_area_of_applicability_and_its_index_come_from_one_read(scene: Path, pixels: Any, tmp_path: Path) -> None:
    area = pw.AreaOfApplicability(pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0)), lpd=False).fit(*pixels)
    paths = pw.predict_raster(area, scene, in_folder(tmp_path, ("predict", "transform")))
    for method, path in paths.items():
        np.testing.assert_array_equal(pw.unwrap(path).cube, pw.unwrap(getattr(area, method)(pw.open_raster(scene))).cube)


def test_maps_say_what_they_are(scene: Path, model: Any, tmp_path: Path) -> None:
    paths = pw.predict_raster(model, scene, in_folder(tmp_path), colors={"water": "#0000ff"}, driver="COG")
    with rasterio.open(paths["predict"]) as labels, rasterio.open(paths["predict_proba"]) as shares:
        assert labels.tags(1)["flag_meanings"] == "forest water"
        assert labels.colormap(1)[1] == (0, 0, 255, 255)
        assert shares.descriptions == ("forest", "water")
        assert labels.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == shares.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_colours_that_fit_no_class_are_an_error(scene: Path, model: Any, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="fog"):
        pw.predict_raster(model, scene, in_folder(tmp_path), colors={"fog": "#ffffff"})


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_on_the_way_leaves_all_older_maps_alone(
    scene: Path, model: Any, tmp_path: Path, error: type[BaseException]
) -> None:
    paths = in_folder(tmp_path)
    paths["predict"].write_text("the older map")

    def stop(done: int, total: int) -> None:
        raise error

    before = everything(tmp_path)
    with pytest.raises(error):
        pw.predict_raster(model, scene, paths, progress=stop)
    assert paths["predict"].read_text() == "the older map"
    assert everything(tmp_path) == before


@pytest.mark.parametrize("older", [True, False])
def test_where_one_map_cannot_be_put_in_place_no_other_is(scene: Path, model: Any, tmp_path: Path, older: bool) -> None:
    paths = in_folder(tmp_path)
    names = Path(f"{paths['predict']}.aux.xml")
    if older:
        paths["predict"].write_text("the older map")
        names.write_text("its names")

    def in_the_way(done: int, total: int) -> None:
        if done == total:
            paths["predict_proba"].mkdir()

    with pytest.raises(RasterWriteError, match=r"predict_proba\.tif cannot be replaced: Is a directory"):
        pw.predict_raster(model, scene, paths, progress=in_the_way)
    assert everything(tmp_path) == {"scene.tif", "predict_proba.tif", *((paths["predict"].name, names.name) if older else ())}
    if older:
        assert (paths["predict"].read_text(), names.read_text()) == ("the older map", "its names")


def test_destinations_that_cannot_be_are_refused_before_anything_is_read(scene: Path, model: Any, tmp_path: Path) -> None:
    missing, out = tmp_path / "no scene.tif", tmp_path / "map.tif"
    for dst, error, words in (
        ({"predict": out, "predict_proba": tmp_path / "." / "map.tif"}, RasterWriteError, "would both be written to"),
        ({"predict": out, "predict_shares": tmp_path / "p.tif"}, ValueError, "no method 'predict_shares': choose one of"),
        ({"predict": out, "predict_proba": tmp_path / "p.png"}, RasterWriteError, "pixelwise writes GeoTIFF"),
        ({}, ValueError, "names no map"),
    ):
        with pytest.raises(error, match=words) as caught:
            pw.predict_raster(model, missing, dst)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="leave method out"):
        pw.predict_raster(model, scene, {"predict": out}, method="predict_proba")
    with pytest.raises(RasterWriteError, match="is what is read"):
        pw.predict_raster(model, scene, {"predict": out, "predict_proba": scene})
    assert everything(tmp_path) == {"scene.tif"}


def test_a_method_that_the_model_lacks_is_refused(scene: Path, pixels: Any, tmp_path: Path) -> None:
    model = Ridge().fit(np.asarray(pixels[0]), np.arange(len(pixels[0])))
    with pytest.raises(ValueError, match="Ridge has no method 'predict_proba'"):
        pw.predict_raster(model, scene, in_folder(tmp_path))


def test_all_maps_have_overviews_on_request(scene: Path, model: Any, tmp_path: Path) -> None:
    paths = pw.predict_raster(model, scene, in_folder(tmp_path), overviews=True)
    with rasterio.open(paths["predict"]) as labels, rasterio.open(paths["predict_proba"]) as shares:
        assert labels.overviews(1) == shares.overviews(2) == [2]
        smaller, mean, full = labels.read(1, out_shape=(120, 200)), shares.read(1, out_shape=(120, 200)), shares.read(1)
    assert set(np.unique(smaller)) == {0, 1, 255}
    squares = np.stack([full[row::2, col::2] for row in (0, 1) for col in (0, 1)])
    np.testing.assert_allclose(mean, squares.mean(axis=0), rtol=1e-5)


ALL = ("predict", "predict_proba", "predict_uncertainty", "DI", "inside")


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("kind", ["classifier", "pipeline"])
def test_uncertainty_and_applicability_come_from_the_read_of_the_map(
    scene: Path, pixels: Any, tmp_path: Path, kind: str, workers: int | None
) -> None:
    forest = pw.PixelwiseClassifier(RandomForestClassifier(5, random_state=0))
    model = (forest if kind == "classifier" else make_pipeline(Counted(), forest)).fit(*pixels)
    area = pw.AreaOfApplicability(model).fit(*pixels)
    Counted.calls = 0
    made = pw.predict_raster(model, scene, in_folder(tmp_path, ALL), area=area, workers=workers)
    if kind == "pipeline":
        # once for the model's own maps, and once for each of the area, which sees chips as they are read
        assert Counted.calls == 3
    raster = pw.open_raster(scene)
    maps = {name: pw.open_raster(path).values for name, path in made.items()}
    np.testing.assert_array_equal(maps["predict"][0], model.predict(raster).values)
    np.testing.assert_array_equal(maps["predict_proba"], model.predict_proba(raster).values)
    np.testing.assert_array_equal(maps["DI"], area.transform(raster).values)
    np.testing.assert_array_equal(maps["inside"][0], area.predict(raster).values)
    shares = maps["predict_proba"].astype(float)
    np.testing.assert_allclose(maps["predict_uncertainty"][0], entropy(shares, axis=0, base=2), atol=1e-6)
    assert np.isnan(maps["predict_uncertainty"][0, 30:60, 100:300]).all()


def test_one_map_of_uncertainty_is_that_of_several(scene: Path, pixels: Any, tmp_path: Path) -> None:
    model = make_pipeline(Counted(), pw.PixelwiseClassifier(LogisticRegression(max_iter=5000))).fit(*pixels)
    assert not hasattr(model, "predict_uncertainty")
    alone = pw.predict_raster(model, scene, tmp_path / "alone.tif", method="predict_uncertainty")
    both = pw.predict_raster(model, scene, in_folder(tmp_path, ("predict", "predict_uncertainty")))
    assert alone.read_bytes() == both["predict_uncertainty"].read_bytes()


def test_an_area_and_its_maps_belong_together(scene: Path, pixels: Any, tmp_path: Path, model: Any) -> None:
    area = pw.AreaOfApplicability(model).fit(*pixels)
    with pytest.raises(ValueError, match="'inside' is a map of an area of applicability: pass area="):
        pw.predict_raster(model, scene, in_folder(tmp_path, ("predict", "inside")))
    with pytest.raises(ValueError, match="area is given, and dst names no map of it"):
        pw.predict_raster(model, scene, tmp_path / "map.tif", area=area)
    with pytest.raises(TypeError, match="is no area of applicability: pass AreaOfApplicability"):
        pw.predict_raster(model, scene, in_folder(tmp_path, ("predict", "DI")), area=model)
    with pytest.raises(NotFittedError):
        pw.predict_raster(model, scene, in_folder(tmp_path, ("predict", "DI")), area=pw.AreaOfApplicability(model))
    assert not [name for name in everything(tmp_path) if name.startswith(("predict", "DI", "inside", "map"))]


def test_a_run_with_another_area_begins_anew(scene: Path, pixels: Any, tmp_path: Path, model: Any) -> None:
    X, y = pixels
    paths, seen = in_folder(tmp_path, ("predict", "DI")), []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise KeyboardInterrupt

    options = {"memory": f"{tight(model, scene, paths, area=pw.AreaOfApplicability(model).fit(X, y))}B", "resume": True}
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(model, scene, paths, area=pw.AreaOfApplicability(model).fit(X, y), progress=stop, **options)
    other = pw.AreaOfApplicability(model).fit(X[::7], y[::7])
    made = pw.predict_raster(model, scene, paths, area=other, **options)
    np.testing.assert_array_equal(pw.open_raster(made["DI"]).values, other.transform(pw.open_raster(scene)).values)
