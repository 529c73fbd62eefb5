"""A pipeline over a catalog: the same files whatever the workers, one bad scene reported, and a killed run resumed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from dask.distributed import Client
from scipy.ndimage import uniform_filter
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeRegressor

import pixelwise as pw
from pixelwise.errors import CatalogError, PixelwiseWarning, RasterWriteError

SIDE, COUNT = 150, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sentinel: dict[str, Path]) -> Path:
    """Six cuts of Sentinel-2 of three bands."""
    place = tmp_path_factory.mktemp("scenes")
    whole = pw.open_raster({band: sentinel[band] for band in ("B02", "B04", "B08")})
    for number in range(COUNT):
        part = whole[:, : SIDE + number, number * SIDE : (number + 1) * SIDE]
        pw.write_raster(part, place / f"S2_{number}_2017021{number}.tif")
    return place


@pytest.fixture(scope="module")
def catalog(folder: Path) -> pw.GeoCatalog:
    return pw.open_catalog(folder, progress=False).assign(tile=[f"33UU{letter}" for letter in "ABCDEF"], season="winter")


@pytest.fixture(scope="module")
def model(catalog: pw.GeoCatalog) -> pw.PixelwiseClassifier:
    """A forest that tells bright near infrared from dark."""
    table = pw.ToPixelMajor()(catalog[0].load()).astype("float32")[::7]
    forest = RandomForestClassifier(5, max_depth=4, n_jobs=-1, random_state=0).fit(table, (table[:, 2] > 1500).astype(int) + 1)
    return pw.PixelwiseClassifier(forest, output_dtype="uint8")


@pytest.fixture(scope="module")
def features() -> pw.Sequential:
    return pw.Sequential([pw.core.Tap(type)])


def digests(place: Path, pattern: str = "*.tif*") -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(place.glob(pattern))}


def to(place: Path, template: str = "{tile}.tif") -> pw.WriteCOG:
    return pw.WriteCOG(path_template=f"{place}/{template}")


@pytest.fixture
def broken(catalog: pw.GeoCatalog, folder: Path, tmp_path: Path) -> pw.GeoCatalog:
    """The catalog with a scene whose file has been cut short since."""
    copies = tmp_path / "copies"
    shutil.copytree(folder, copies)
    own = pw.open_catalog(copies, progress=False).assign(tile=catalog.frame["tile"].tolist())
    path = Path(own[2].uri)
    os.truncate(path, path.stat().st_size // 2)
    return own


def test_each_scene_becomes_the_map_of_the_model(catalog: Any, model: Any, features: Any, tmp_path: Path) -> None:
    maps = pw.CatalogPipeline(catalog, pw.Sequential([features, model, to(tmp_path)])).run()
    assert [Path(uri).name for uri in maps.frame["uri"]] == [f"33UU{letter}.tif" for letter in "ABCDEF"]
    for scene, made in zip(catalog, maps, strict=True):
        np.testing.assert_array_equal(made.load()[0], model.predict(scene.load()))
        assert made.grid == scene.grid
    assert maps.frame["tile"].tolist() == catalog.frame["tile"].tolist()
    assert maps.frame["source_uri"].tolist() == catalog.frame["uri"].tolist()
    assert maps.frame["datetime"].tolist() == catalog.frame["datetime"].tolist()


def test_the_catalog_of_maps_is_kept_as_geoparquet(catalog: Any, model: Any, tmp_path: Path) -> None:
    maps = pw.CatalogPipeline(catalog, pw.Sequential([model, to(tmp_path / "out")])).run()
    maps.to_parquet(tmp_path / "maps.parquet")
    again = pw.open_catalog(tmp_path / "maps.parquet")
    assert again.frame["uri"].tolist() == maps.frame["uri"].tolist()
    assert again.filter(tile="33UUB")[0].metadata["season"] == "winter"


def test_maps_are_cogs_with_their_legend(catalog: Any, model: Any, tmp_path: Path) -> None:
    whole = catalog[0].load()
    grid = pw.Grid(whole.rio.crs, whole.rio.transform(), 600, 750)
    pw.write_raster(
        pw.rewrap(pw.Raster(np.tile(whole.values, (1, 4, 5)), grid, ("a", "b", "c")), whole), tmp_path / "large.tif"
    )
    large = pw.open_catalog(tmp_path / "large.tif", progress=False).assign(tile="a")
    writer = pw.WriteCOG(f"{tmp_path}/out/{{tile}}.tif", compress="zstd", colors={2: "#ff0000"})
    pw.CatalogPipeline(large, pw.Sequential([model, writer])).run()
    with rasterio.open(tmp_path / "out" / "a.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.profile["tiled"]
        assert file.overviews(1) == [2, 4]
        assert (file.nodata, file.dtypes, file.compression.name) == (255, ("uint8",), "zstd")
        assert file.colormap(1)[2] == (255, 0, 0, 255)
        assert file.tags(1)["flag_meanings"] == "1 2"


@pytest.mark.parametrize("backend", ["loky", "threading", "dask"])
def test_workers_of_any_kind_write_the_same_bytes(catalog: Any, model: Any, tmp_path: Path, backend: str) -> None:
    pw.CatalogPipeline(catalog, pw.Sequential([model, to(tmp_path / "one")])).run()
    run = pw.CatalogPipeline(catalog, pw.Sequential([model, to(tmp_path / "many")]), n_workers=2, backend=backend)
    if backend == "dask":
        with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0"):
            run.run()
    else:
        run.run()
    assert digests(tmp_path / "one") == digests(tmp_path / "many")
    assert len(digests(tmp_path / "one")) == 2 * COUNT


def test_a_switch_by_metadata_reaches_workers_with_its_functions(catalog: Any, model: Any, tmp_path: Path) -> None:
    cases = {f"33UU{letter}": model for letter in "ABCDE"}
    switch = pw.core.Switch(key=lambda gt: gt.metadata["tile"], cases=cases, default=pw.core.Raise("no model for tile: {key}"))
    run = pw.CatalogPipeline(catalog, pw.Sequential([switch, to(tmp_path)]), n_workers=2, on_error="skip")
    with pytest.warns(PixelwiseWarning, match="1 of 6 scenes failed.*no model for tile: 33UUF"):
        maps = run.run()
    assert len(maps) == 5
    assert "no model for tile: 33UUF" in maps.unreadable[catalog[5].id]


def test_a_failing_scene_stops_the_run_and_is_named(broken: Any, model: Any, tmp_path: Path) -> None:
    run = pw.CatalogPipeline(broken, pw.Sequential([model, to(tmp_path / "out")]))
    with pytest.raises(CatalogError, match=r"scene S2_2_20170212 failed with RasterReadError.*skip"):
        run.run()
    assert run.status()["state"].tolist() == ["done", "done", "failed"]


def test_a_failing_scene_is_skipped_reported_and_tried_again_by_the_next_run(
    broken: Any, folder: Path, model: Any, tmp_path: Path
) -> None:
    run = pw.CatalogPipeline(broken, pw.Sequential([model, to(tmp_path / "out")]), on_error="skip")
    with pytest.warns(PixelwiseWarning, match="1 of 6 scenes failed"):
        maps = run.run()
    assert len(maps) == 5
    assert "cannot be read" in maps.unreadable["S2_2_20170212"]
    failed = run.status().query("state == 'failed'")
    assert failed["scene"].tolist() == ["S2_2_20170212"]
    assert "RasterReadError" in failed["reason"].item()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tif")}
    shutil.copy(folder / "S2_2_20170212.tif", broken[2].uri)
    assert len(run.run()) == 6
    assert set(run.status()["state"]) == {"done"}
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


@pytest.mark.parametrize("n_workers", [1, 2])
def test_what_several_scenes_warn_of_is_told_once(folder: Path, model: Any, tmp_path: Path, n_workers: int) -> None:
    for number, path in enumerate(sorted(folder.glob("*.tif"))[:4]):
        raster = pw.open_raster(path)
        raster[:, : 20 + 10 * number * (number < 3)] = 0
        pw.write_raster(raster, tmp_path / path.name)
    catalog = pw.open_catalog(str(tmp_path / "*.tif"), progress=False)
    with pytest.warns(PixelwiseWarning) as told:
        pw.CatalogPipeline(catalog, pw.Sequential([model, to(tmp_path / "maps", "{id}.tif")]), n_workers=n_workers).run()
    assert len(told) == 1
    assert "of the pixels are 0 in every band" in str(told[0].message)
    assert str(told[0].message).endswith("; alike in 3 other places)")
    assert told[0].filename == __file__


def test_a_run_in_which_all_fails_gives_an_empty_catalog(broken: Any, model: Any, tmp_path: Path) -> None:
    run = pw.CatalogPipeline(broken.take([2]), pw.Sequential([model, to(tmp_path)]), on_error="skip")
    with pytest.warns(PixelwiseWarning, match="1 of 1"):
        assert len(run.run()) == 0


def test_a_scene_is_tried_again_where_it_may_help(catalog: Any, tmp_path: Path) -> None:
    tried = tmp_path / "tried"

    def flaky(raster: xr.DataArray) -> xr.DataArray:
        """Fail twice, as a network does."""
        tried.write_text(tried.read_text() + "x" if tried.exists() else "x")
        if len(tried.read_text()) < 3:
            raise OSError("connection reset")
        return raster

    run = pw.CatalogPipeline(catalog.take([0]), pw.Sequential([flaky, to(tmp_path)]), on_error="retry")
    assert len(run.run()) == 1
    assert tried.read_text() == "xxx"


def test_what_is_done_is_done_again_for_another_model_other_files_or_when_asked(
    broken: Any, folder: Path, model: Any, tmp_path: Path
) -> None:
    shutil.copy(folder / "S2_2_20170212.tif", broken[2].uri)

    def done(run: pw.CatalogPipeline) -> int:
        """Count the maps that are written."""
        before = {path: path.stat().st_ino for path in tmp_path.glob("*.tif")}
        run.run()
        return sum(before.get(path) != path.stat().st_ino for path in tmp_path.glob("*.tif"))

    pipeline = pw.Sequential([model, to(tmp_path)])
    assert done(pw.CatalogPipeline(broken, pipeline)) == COUNT
    assert done(pw.CatalogPipeline(broken, pipeline)) == 0
    assert done(pw.CatalogPipeline(broken, pipeline, resume=False)) == COUNT
    os.utime(broken[1].uri)
    assert done(pw.CatalogPipeline(broken, pipeline)) == 1
    (tmp_path / "33UUC.tif").write_bytes(b"cut")
    assert done(pw.CatalogPipeline(broken, pipeline)) == 1
    other = pw.PixelwiseClassifier(model.estimator, output_dtype="int16")
    assert done(pw.CatalogPipeline(broken, pw.Sequential([other, to(tmp_path)]))) == COUNT


KILLED = """
    import sys, time
    from pathlib import Path
    import joblib, pixelwise as pw

    def slowly(chip):
        time.sleep(0.2)

    if __name__ == "__main__":
        folder, out, model, workers = sys.argv[1:]
        catalog = pw.open_catalog(folder, progress=False)
        print("started", flush=True)
        pipeline = pw.Sequential([pw.core.Tap(slowly), joblib.load(model), pw.WriteCOG(f"{out}/{{id}}.tif")])
        pw.CatalogPipeline(catalog, pipeline, n_workers=int(workers)).run()
        print("done", flush=True)
"""


def test_a_run_that_was_killed_goes_on_and_gives_the_same_bytes(folder: Path, catalog: Any, model: Any, tmp_path: Path) -> None:
    script, out, once = tmp_path / "run.py", tmp_path / "out", tmp_path / "once"
    script.write_text(textwrap.dedent(KILLED))
    joblib.dump(model, tmp_path / "model.joblib")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script), str(folder), str(out), str(tmp_path / "model.joblib")]
    with subprocess.Popen([*command, "2"], env=env) as process:
        deadline = time.monotonic() + 60
        while len(list(out.glob("*.tif"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    first = {path: path.stat().st_ino for path in out.glob("*.tif")}
    assert 3 <= len(first) < COUNT
    subprocess.run([*command, "1"], env=env, check=True, capture_output=True)
    pw.CatalogPipeline(catalog, pw.Sequential([model, to(once, "{id}.tif")])).run()
    assert digests(out) == digests(once)
    # Those that were under way when the run was killed may have come too late for the journal.
    assert sum(path.stat().st_ino == then for path, then in first.items()) >= len(first) - 2
    assert not [path for path in out.iterdir() if path.is_dir()]


def test_models_with_context_are_streamed_in_chips(catalog: Any, tmp_path: Path) -> None:
    def blurred(chip: xr.DataArray) -> xr.DataArray:
        """Look round."""
        return chip.copy(data=uniform_filter(chip.values.astype("float32"), size=(1, 5, 5), mode="nearest"))

    infer = pw.ApplyToChips(pw.sampling.GridSampler(64, stride=48), blurred, pw.Stitch("weighted"))
    maps = pw.CatalogPipeline(catalog.take([0]), pw.Sequential([infer, to(tmp_path / "a")])).run()
    np.testing.assert_array_equal(maps[0].load(), infer(catalog[0].load()))
    maps = pw.CatalogPipeline(catalog.take([0]), pw.Sequential([blurred, to(tmp_path / "b")])).run()
    np.testing.assert_array_equal(maps[0].load(), blurred(catalog[0].load()))
    with pytest.raises(CatalogError, match="put them into its chip_op"):
        pw.CatalogPipeline(catalog, pw.Sequential([pw.sar.LeeSpeckle(), infer, to(tmp_path)]))


def test_scenes_of_a_file_a_band_and_series_of_dates_are_mapped(landsat_series: Any, tmp_path: Path) -> None:
    place = next(iter(landsat_series.values()))["b3"].parents[1]
    bands = {"b3": "*_b3.tif", "b4": "*_b4.tif"}
    catalog = pw.open_catalog(place, bands=bands, progress=False).take(slice(3))
    table = pw.ToPixelMajor()(catalog[0].load()).astype("float32")
    clusters = pw.PixelwiseClusterer(KMeans(3, n_init=1, random_state=0).fit(table))
    maps = pw.CatalogPipeline(catalog, pw.Sequential([clusters, to(tmp_path, "{id}.tif")]), memory="64MB").run()
    for scene, made in zip(catalog, maps, strict=True):
        np.testing.assert_array_equal(made.load()[0], clusters.predict(scene.load()))


def test_a_pipeline_of_nothing_but_a_writer_makes_cogs(catalog: Any, tmp_path: Path) -> None:
    maps = pw.CatalogPipeline(catalog.take([0]), to(tmp_path)).run()
    xr.testing.assert_equal(maps[0].load(), catalog[0].load())


def test_without_a_writer_maps_go_to_a_folder_that_is_named(
    catalog: Any, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.warns(PixelwiseWarning, match=r"maps go to maps/\{id\}.tif"):
        run = pw.CatalogPipeline(catalog.take([0, 1]), pw.Sequential([model]))
    assert [Path(uri) for uri in run.run().frame["uri"]] == sorted((tmp_path / "maps").glob("*.tif"))


def test_the_journal_lies_where_it_is_asked_for(catalog: Any, model: Any, tmp_path: Path) -> None:
    run = pw.CatalogPipeline(
        catalog.take([0]), pw.Sequential([model, to(tmp_path / "out")]), journal=tmp_path / "log" / "a.sqlite", progress=True
    )
    run.run()
    assert run.status()["seconds"].item() > 0
    assert [path.name for path in (tmp_path / "log").iterdir()] == ["a.sqlite"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["33UUA.tif", "33UUA.tif.aux.xml"]
    (tmp_path / "text.sqlite").write_text("no journal, but a text that is long enough to be looked at by SQLite" * 20)
    with pytest.raises(CatalogError, match="name another file"):
        pw.CatalogPipeline(catalog, pw.Sequential([model, to(tmp_path)]), journal=tmp_path / "text.sqlite").run()


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{mgrs}.tif", "asks for 'mgrs', and the metadata has .*tile"),
        ("{season}.tif", "would both be written to"),
        ("{tile}/../map.tif", "would both be written to"),
        ("{tile}.png", "writes GeoTIFF"),
        ("{tile:%Y}.tif", r"tile=.* does not take the format .%Y. of .*{tile:%Y}"),
    ],
)
def test_a_template_that_cannot_be_filled_is_an_error_before_any_work(
    catalog: Any, model: Any, tmp_path: Path, template: str, says: str
) -> None:
    with pytest.raises((CatalogError, OSError), match=says):
        pw.CatalogPipeline(catalog, pw.Sequential([model, to(tmp_path, template)])).run()
    assert not list(tmp_path.glob("*.tif"))


def test_values_of_a_template_do_not_lead_elsewhere(catalog: Any) -> None:
    writer = pw.WriteCOG("out/{tile}/{datetime:%Y-%m}.tif")
    assert writer.path_for({"tile": "../../etc", "datetime": "2024-06-01T10:00:00"}) == Path("out/.._.._etc/2024-06.tif")
    with pytest.raises(CatalogError, match="makes no file name"):
        writer.path_for({"tile": "..", "datetime": pd.Timestamp("2024-06-01")})


def test_workers_that_began_in_another_folder_find_relative_names(
    catalog: Any, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(number) for number in range(4))
    uris = list(catalog.frame["uri"])
    monkeypatch.chdir(tmp_path)
    relative = pw.GeoCatalog(catalog.frame.assign(uri=[os.path.relpath(uri) for uri in uris]))
    pw.CatalogPipeline(relative, pw.Sequential([model, pw.WriteCOG("here/{id}.tif")]), n_workers=2, journal="j.sqlite").run()
    assert len(list((tmp_path / "here").glob("*.tif"))) == len(uris)


def test_a_scene_is_not_overwritten(catalog: Any, model: Any, folder: Path) -> None:
    with pytest.raises(CatalogError, match="is a file of the catalog"):
        pw.CatalogPipeline(catalog, pw.Sequential([model, to(folder, "{id}.tif")])).run()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"on_error": "ignore"}, CatalogError, "choose one of raise"),
        ({"catalog": "scenes/"}, TypeError, "open_catalog"),
        ({"memory": "much"}, ValueError, "no amount of memory"),
        ({"pipeline": pw.Sequential([pw.WriteCOG("a.tif"), pw.indices.NDVI(0, 1)])}, CatalogError, "at its end"),
        ({"pipeline": pw.WriteCOG("https://a.org/{id}.tif")}, RasterWriteError, "cannot be written over its network: name a"),
        ({"pipeline": pw.WriteCOG("{id.tif")}, CatalogError, r"cannot be read \(.*\): put names in braces"),
        ({"pipeline": pw.WriteCOG(None)}, TypeError, "path_template=None is no path"),
        ({"pipeline": "model.pixelwise"}, CatalogError, "'model.pixelwise' is no step .*: pass a model"),
        ({"n_workers": 0}, CatalogError, "n_workers=0 is no number of workers: pass 1 or more, or -1"),
        ({"n_workers": "2"}, CatalogError, "n_workers='2' is no number of workers"),
    ],
    ids=["on_error", "catalog", "memory", "order", "remote", "braces", "no path", "a path", "no workers", "text"],
)
def test_arguments_are_looked_at_first(
    catalog: Any, tmp_path: Path, change: dict[str, Any], error: type[Exception], says: str
) -> None:
    given: dict[str, Any] = {"catalog": catalog, "pipeline": to(tmp_path), **change}
    with pytest.raises(error, match=says):
        pw.CatalogPipeline(**given)


def test_what_no_scene_could_be_written_with_is_an_error_before_any_work(catalog: Any, tmp_path: Path) -> None:
    with pytest.raises(RasterWriteError, match="compress='jpeg' is not known for COGs: choose one of deflate"):
        pw.CatalogPipeline(catalog, pw.WriteCOG(f"{tmp_path}/{{id}}.tif", compress="jpeg"), on_error="skip").run()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CatalogError, match=r"folder .*file.* cannot be made: .*; name one"):
        pw.CatalogPipeline(catalog, pw.WriteCOG(f"{tmp_path}/file/{{id}}.tif")).run()


def test_an_empty_catalog_and_an_unfitted_model_are_refused(catalog: Any, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="is empty"):
        pw.CatalogPipeline(catalog.take([]), to(tmp_path)).run()
    unfitted = pw.PixelwiseClassifier(RandomForestClassifier())
    with pytest.raises(ValueError, match="not fitted"):
        pw.CatalogPipeline(catalog, pw.Sequential([unfitted, to(tmp_path)])).run()


def test_a_writer_by_itself_asks_for_rasters(tmp_path: Path, raster: xr.DataArray) -> None:
    with pytest.raises(TypeError, match="writes rasters"):
        to(tmp_path).transform(np.zeros((3, 2)))
    made = to(tmp_path, "x.tif").apply(pw.unwrap(raster))
    assert made.values.shape == raster.shape
    assert (tmp_path / "x.tif").exists()


def test_the_maps_of_a_run_are_written_as_stac_and_as_a_mosaic(catalog: Any, model: Any, tmp_path: Path) -> None:
    maps = pw.CatalogPipeline(catalog, pw.Sequential([model, to(tmp_path)])).run()
    maps.to_stac(tmp_path / "maps.json", beside=True)
    again = pw.open_catalog(tmp_path / "maps.json", progress=False)
    assert list(again) == list(maps)
    item = json.loads((tmp_path / "33UUA.json").read_text())
    assert item["assets"]["data"]["type"].endswith("profile=cloud-optimized")
    assert [link["href"] for link in item["links"] if link["rel"] == "derived_from"] == [catalog[0].uri]
    for kind in (".vrt", ".gti.gpkg"):
        maps.to_mosaic(tmp_path / f"all{kind}")
        whole = pw.open_raster(tmp_path / f"all{kind}")
        assert whole.shape == (1, SIDE + COUNT - 1, SIDE * COUNT)
        for number, made in enumerate(maps):
            part = whole.values[0, :, number * SIDE : (number + 1) * SIDE]
            np.testing.assert_array_equal(part[: SIDE + number], made.load().values[0])
            assert (part[SIDE + number :] == 255).all()


def test_a_mosaic_of_nothing_or_of_several_files_a_scene_is_an_error(catalog: Any, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="the catalog is empty"):
        catalog.take([]).to_mosaic(tmp_path / "a.vrt")
    frame = catalog.frame.assign(uri=[{"B02": uri} for uri in catalog.frame["uri"]])
    with pytest.raises(CatalogError, match="has several files"):
        pw.GeoCatalog(frame).to_mosaic(tmp_path / "a.vrt")


def test_a_graph_is_given_the_files_beside_each_scene(catalog: pw.GeoCatalog, tmp_path: Path) -> None:
    for name in ("sar", "map"):
        (tmp_path / name).mkdir()
    beside = []
    for scene in catalog:
        coarse = scene.load(bands=[2]).coarsen(y=2, x=2, boundary="trim").mean().assign_coords(band=["VV"]).astype("float32")
        coarse = coarse.rio.write_crs(scene.grid.crs)
        beside.append(str(pw.write_raster(coarse.rio.write_nodata(np.nan), tmp_path / "sar" / f"{scene.id}.tif")))
    optical, sar = pw.Input("optical"), pw.Input("sar")
    stacked = pw.fusion.AlignAndStack(target_grid="optical")(optical, pw.sar.LeeSpeckle(window=3)(sar))
    graph = pw.Graph(inputs={"optical": optical, "sar": sar}, outputs={"features": stacked})
    fused = catalog.assign(sar_uri=beside)
    tree = pw.fit_pixelwise(
        DecisionTreeRegressor(max_depth=4, random_state=0), graph, lambda chip: chip[2:3] * 2.0, catalog=fused, n_pixels=500,
        random_state=0,
    )  # fmt: skip
    pipeline = pw.Sequential([graph, pw.PixelwiseRegressor(tree)])
    maps = pw.CatalogPipeline(fused, pw.Sequential([pipeline, to(tmp_path / "map")]), n_workers=2).run()
    for scene, made in zip(fused, maps, strict=True):
        expected = pipeline({"optical": scene.load(), "sar": pw.open_raster(scene.metadata["sar_uri"])})
        np.testing.assert_array_equal(made.load()[0], expected)
    with pytest.raises(CatalogError, match="has neither optical_uri and sar_uri"):
        pw.CatalogPipeline(catalog, pw.Sequential([pipeline, to(tmp_path / "none")])).run()


def test_an_estimator_of_scikit_learn_is_wrapped(
    catalog: pw.GeoCatalog, model: pw.PixelwiseClassifier, features: pw.Sequential, tmp_path: Path
) -> None:
    for name, last in (("bare", model.estimator), ("wrapped", pw.PixelwiseClassifier(model.estimator))):
        (tmp_path / name).mkdir()
        pw.CatalogPipeline(catalog, pw.Sequential([features, last, to(tmp_path / name)])).run()
    assert digests(tmp_path / "bare") == digests(tmp_path / "wrapped")


def test_scenes_of_one_id_are_told_to_have_others(
    catalog: pw.GeoCatalog, model: pw.PixelwiseClassifier, tmp_path: Path
) -> None:
    with pytest.raises(CatalogError, match=r"would both be written to .*: assign them ids of their own"):
        pw.CatalogPipeline(catalog.take([0, 0]), pw.Sequential([model, to(tmp_path, "{id}.tif")])).run()


def test_a_scene_that_kills_its_worker_is_named_and_the_others_are_done(catalog: Any, model: Any, tmp_path: Path) -> None:
    def die(raster: xr.DataArray) -> None:
        """End the process, as the system does when memory is short."""
        if raster.attrs["tile"] == "33UUC":
            os.kill(os.getpid(), signal.SIGKILL)

    run = pw.CatalogPipeline(
        catalog, pw.Sequential([pw.core.Tap(die), model, to(tmp_path)]), n_workers=2, on_error="skip", progress=True
    )
    with pytest.warns(PixelwiseWarning, match="1 of 6 scenes failed, such as S2_2_20170212: TerminatedWorkerError: .*memory"):
        assert len(run.run()) == 5
    assert run.status().query("state == 'failed'")["scene"].tolist() == ["S2_2_20170212"]
    run = pw.CatalogPipeline(catalog, pw.Sequential([pw.core.Tap(die), model, to(tmp_path)]), n_workers=2)
    with pytest.raises(CatalogError, match="scene S2_2_20170212 failed with TerminatedWorkerError"):
        run.run()


def test_two_runs_do_not_use_a_journal_at_a_time(catalog: Any, model: Any, tmp_path: Path) -> None:
    pipeline = pw.Sequential([model, to(tmp_path)])

    def other(raster: xr.DataArray) -> None:
        """Begin another run in the middle of one."""
        pw.CatalogPipeline(catalog, pipeline).status()
        with pytest.raises(CatalogError, match=r"journal .* is used by another run; wait for its end, or give each .*journal="):
            pw.CatalogPipeline(catalog, pipeline).run()

    pw.CatalogPipeline(catalog.take([0, 1]), pw.Sequential([pw.core.Tap(other), model, to(tmp_path)])).run()
    assert len(pw.CatalogPipeline(catalog, pipeline).run()) == 6
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_journal_of_something_else_or_that_is_broken_is_told(catalog: Any, model: Any, tmp_path: Path) -> None:
    run = pw.CatalogPipeline(catalog.take([0]), pw.Sequential([model, to(tmp_path)]))
    run.run()
    whole = run.journal.read_bytes()
    run.journal.write_bytes(whole[:4096] + b"\xff" * 200 + whole[4296:])
    for task in (run.run, run.status):
        with pytest.raises(CatalogError, match="cannot be used: database disk image is malformed; name another file"):
            task()
    run.journal.unlink()
    with contextlib.closing(sqlite3.connect(run.journal)) as base:
        base.execute("CREATE TABLE scenes (name TEXT)")
    with pytest.raises(CatalogError, match="cannot be used: no such column: size; name another file"):
        run.run()


def test_a_model_of_scikit_learn_is_applied_as_predict_raster_does(catalog: Any, model: Any, tmp_path: Path) -> None:
    made = pw.CatalogPipeline(catalog.take([0]), pw.Sequential([model.estimator, to(tmp_path / "a")])).run()[0]
    alone = pw.predict_raster(model.estimator, catalog[0], tmp_path / "alone.tif")
    np.testing.assert_array_equal(made.load(), pw.open_raster(alone))


def test_what_cannot_be_sent_to_workers_is_told(catalog: Any, tmp_path: Path) -> None:
    lock = threading.Lock()
    with pytest.raises(CatalogError, match=r"cannot be sent to workers \(cannot pickle '_thread.lock' object\): leave out"):
        pw.CatalogPipeline(catalog, pw.Sequential([pw.core.Tap(lambda _: lock), to(tmp_path)])).run()
