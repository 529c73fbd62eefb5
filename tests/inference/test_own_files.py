"""No map is written over what it is made of, however that is named, and a run knows when its files are others."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.shutil
from sklearn.tree import DecisionTreeClassifier

import pixelwise as pw
from pixelwise.errors import CatalogError, RasterWriteError


@pytest.fixture
def model() -> Any:
    """One that says 1 of dark red and bright infrared, and 2 of the other way round."""
    return pw.PixelwiseClassifier(DecisionTreeClassifier().fit(pd.DataFrame({"B02": [10, 950], "B08": [950, 10]}), [1, 2]))


@pytest.fixture
def files(write) -> dict[str, str]:
    """A dark and a bright band, a file each."""
    dark, bright = (np.full((1, 600, 300), value, "uint16") for value in (10, 950))
    options = {"tiled": True, "blockxsize": 128, "blockysize": 128}
    return {
        "B02": str(write(dark, "dark.tif", ("B02",), **options)),
        "B08": str(write(bright, "bright.tif", ("B08",), **options)),
    }


def test_no_name_of_a_file_leads_to_its_being_overwritten(model, files, tmp_path: Path) -> None:
    both = tmp_path / "both.tif"
    pw.write_raster(pw.open_raster(files), both)
    before = both.read_bytes()
    rasterio.shutil.copy(both, tmp_path / "first.vrt", driver="VRT")
    rasterio.shutil.copy(tmp_path / "first.vrt", tmp_path / "second.vrt", driver="VRT")
    lazy = pw.open_raster(both, chunks={"x": 64, "y": 64})
    for src in (both, tmp_path / "first.vrt", tmp_path / "second.vrt", f"file://{both}", f"GTIFF_DIR:1:{both}", lazy):
        with pytest.raises(RasterWriteError, match="is what is read: name another file"):
            pw.predict_raster(model, src, both)
    catalog = pw.open_catalog(tmp_path / "second.vrt").assign(tile="both")
    with pytest.raises(CatalogError, match="is a file of the catalog"):
        pw.CatalogPipeline(catalog, pw.Sequential([model, pw.WriteCOG(f"{tmp_path}/{{tile}}.tif")])).run()
    chips = pw.ApplyToChips(pw.GridSampler((64, 64)), model, pw.Stitch("majority"))
    for name in files.values():
        with pytest.raises(RasterWriteError, match="is what is read"):
            chips(files, dst=name)
    assert both.read_bytes() == before


def test_a_raster_in_memory_may_replace_its_file(model, files, tmp_path: Path) -> None:
    both = tmp_path / "both.tif"
    pw.write_raster(pw.open_raster(files), both)
    pw.predict_raster(model, pw.open_raster(both).load(), both)
    assert pw.open_raster(both).values.max() == 1


def stop(done: int, _total: int) -> None:
    if done == 2:
        raise KeyboardInterrupt


def goes_on(model: Any, first: Any, then: Any, path: Path, change: Any = lambda: None) -> np.ndarray:
    """Return a map that was begun of one source, and gone on with of another."""
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(model, first, path, memory="64MB", resume=True, progress=stop)
    change()
    pw.predict_raster(model, then, path, memory="64MB", resume=True)
    return np.unique(pw.open_raster(path))


def large(path: str, value: int) -> str:
    with rasterio.open(path) as file:
        profile = {**file.profile, "width": 1024, "height": 4096}
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.full((1, 4096, 1024), value, "uint16"))
    return path


def test_a_run_does_not_go_on_with_other_bands_of_the_same_files(model, files, tmp_path: Path) -> None:
    dark, bright = large(files["B02"], 10), large(files["B08"], 950)
    wrong, right = {"B08": dark, "B02": bright}, {"B02": dark, "B08": bright}
    assert goes_on(model, wrong, right, tmp_path / "map.tif").tolist() == [1]
    for uri, label in ((wrong, 2), (right, 1)):
        catalog = pw.open_catalog(pd.DataFrame({"uri": [uri], "tile": ["t"]}))
        out = pw.CatalogPipeline(
            catalog, pw.Sequential([model, pw.WriteCOG(f"{tmp_path}/of_{{tile}}.tif")]), journal=tmp_path / "journal.sqlite"
        ).run()
        assert np.unique(out[0].load()).tolist() == [label]


def test_a_run_does_not_go_on_where_a_file_below_a_mosaic_has_changed(files, tmp_path: Path) -> None:
    model = pw.PixelwiseClassifier(DecisionTreeClassifier().fit([[10], [950]], [1, 2]))
    path, vrt = large(files["B02"], 10), tmp_path / "mosaic.vrt"
    rasterio.shutil.copy(path, vrt, driver="VRT")
    assert goes_on(model, vrt, vrt, tmp_path / "map.tif", lambda: large(path, 950)).tolist() == [2]


def test_a_scene_is_made_anew_when_what_is_told_of_it_has_changed(files, tmp_path: Path) -> None:
    one, two = (pw.PixelwiseClassifier(DecisionTreeClassifier().fit([[1.0], [2.0]], [k, k])) for k in (1, 2))
    switch = pw.core.Switch(key="zone", cases={"north": one, "south": two})
    for zone, label in (("north", 1), ("south", 2)):
        catalog = pw.open_catalog(files["B02"]).assign(zone=zone)
        out = pw.CatalogPipeline(
            catalog, pw.Sequential([switch, pw.WriteCOG(f"{tmp_path}/zone.tif")]), journal=tmp_path / "journal.sqlite"
        ).run()
        assert np.unique(out[0].load()).tolist() == [label]


def test_a_scene_that_fails_takes_no_other_of_its_name_along(files, tmp_path: Path) -> None:
    model = pw.PixelwiseClassifier(DecisionTreeClassifier().fit([[10], [950]], [1, 2]))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(files["B02"], tmp_path / folder / "scene.tif")
    catalog = pw.open_catalog([tmp_path / "a" / "scene.tif", tmp_path / "b" / "scene.tif"]).assign(tile=["a", "b"])
    whole = (tmp_path / "b" / "scene.tif").read_bytes()
    (tmp_path / "b" / "scene.tif").write_bytes(whole[: len(whole) // 2])
    steps = pw.Sequential([model, pw.WriteCOG(f"{tmp_path}/map_{{tile}}.tif")])
    with pytest.warns(pw.errors.PixelwiseWarning, match="1 of 2 scenes failed, such as scene"):
        out = pw.CatalogPipeline(catalog, steps, on_error="skip", journal=tmp_path / "journal.sqlite").run()
    assert out.frame["tile"].tolist() == ["a"]
    assert list(out.unreadable) == ["scene"]
