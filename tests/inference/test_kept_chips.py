"""A run that was killed goes on with the chips that are missing, and makes the bytes of one that was not."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from shapely.geometry import Point
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import pixelwise as pw
from pixelwise.errors import FillValueError, MemoryBudgetError, MissingDataWarning, RasterWriteError

#: Begins a run again and again, kills it a moment after so many chips are there, prints how many, and lets the last one end.
KILLED = """
import os, random, signal, sys, time
import joblib
import pixelwise as pw

model, scene, first, second, memory, total = sys.argv[1:]
kept = os.path.join(os.path.dirname(first), f".{os.path.basename(first)}-chips")
random.seed(7)

def chips():
    return sum(name.endswith(".npz") for name in os.listdir(kept)) if os.path.isdir(kept) else 0

for target in [*sorted(random.sample(range(int(total)), 6)), int(total), None]:
    # The package is imported once for all.
    child = os.fork()
    if child == 0:
        paths = {"predict": first, "predict_proba": second}
        slowly = lambda done, total: time.sleep(0.01)
        pw.predict_raster(joblib.load(model), scene, paths, memory=int(memory), resume=True, progress=slowly)
        os._exit(0)
    if target is not None:
        while chips() < target and not os.path.exists(second):
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    print(chips())
assert status == 0
"""


@pytest.fixture
def model(example: tuple[Path, Path]) -> Any:
    X, y = pw.extract_pixels(*example, column="class")
    return pw.PixelwiseClassifier(LogisticRegression(max_iter=500)).fit(X, y)


@pytest.fixture
def large(write: Callable[..., Path], values: np.ndarray) -> Path:
    cube = np.tile(values, (1, 4, 5))
    cube[:, 30:60, 100:300] = 0
    return write(cube, names=("B02", "B03", "B04", "B08"), nodata=0, tiled=True, blockxsize=32, blockysize=16)


def tight(model: Any, scene: Any, dst: Any, **options: Any) -> int:
    with pytest.raises(MemoryBudgetError) as caught:
        pw.predict_raster(model, scene, dst, memory=1, **options)
    return int(caught.value.values["needed"])


def everything(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def stopping(at: int, seen: list[int] | None = None) -> Callable[[int, int], None]:
    def _stop(done: int, total: int) -> None:
        if seen is not None:
            seen.append(done)
        if done == at:
            raise KeyboardInterrupt

    return _stop


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes that are killed begin by forking")
def test_a_run_killed_at_any_time_makes_the_bytes_of_one_that_was_not(large: Path, model: Any, tmp_path: Path) -> None:
    joblib.dump(model, tmp_path / "model")
    (tmp_path / "maps").mkdir()
    calm = {"predict": tmp_path / "calm.tif", "predict_proba": tmp_path / "calm-shares.tif"}
    killed = {"predict": tmp_path / "maps" / "map.tif", "predict_proba": tmp_path / "maps" / "shares.tif"}
    least = tight(model, large, calm)
    seen: list[int] = []
    pw.predict_raster(model, large, calm, memory=least, resume=True, progress=stopping(-1, seen))
    call = [sys.executable, "-c", KILLED, tmp_path / "model", large, *killed.values(), str(least), str(len(seen))]
    done = subprocess.run(call, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    counts = [int(count) for count in done.stdout.split()][:6]
    assert counts == sorted(counts)
    assert 0 < counts[-1] <= len(seen)
    for method, path in killed.items():
        assert path.read_bytes() == calm[method].read_bytes()
    assert everything(tmp_path / "maps") == {"map.tif", "map.tif.aux.xml", "shares.tif"}


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
@pytest.mark.parametrize("workers", [None, 2])
def test_the_maps_are_those_of_a_run_without(large: Path, model: Any, tmp_path: Path, driver: str, workers: int | None) -> None:
    options = {"driver": driver, "workers": workers}
    plain = pw.predict_raster(model, large, tmp_path / "plain.tif", memory=tight(model, large, tmp_path / "m.tif"), **options)
    out = tmp_path / "map.tif"
    least, seen = tight(model, large, out, workers=workers), []
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(model, large, out, memory=least, resume=True, progress=stopping(3), **options)
    assert not out.exists()
    pw.predict_raster(model, large, out, memory=least, resume=True, progress=stopping(-1, seen), **options)
    # Three were kept, of which the first is made again.
    assert seen[0] == 3
    np.testing.assert_array_equal(pw.unwrap(out).values, pw.unwrap(plain).values)
    assert pw.unwrap(out).attrs == pw.unwrap(plain).attrs
    assert not [name for name in everything(tmp_path) if name.startswith(".")]


def test_an_older_map_stays_until_the_new_one_is_complete(large: Path, model: Any, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    least = tight(model, large, out)
    out.write_text("the older map")
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(model, large, out, memory=least, resume=True, progress=stopping(2))
    assert out.read_text() == "the older map"


class Half:
    """Makes what no GeoTIFF holds."""

    def predict(self, raster: pw.Raster) -> pw.Raster:
        return raster.with_values(raster.values.astype("float16"))


def change_model(call: dict[str, Any], folder: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    call["model"] = pw.PixelwiseClassifier(LogisticRegression()).fit(values, np.arange(50) % 2)


def change_source(call: dict[str, Any], folder: Path) -> None:
    later = call["src"].stat().st_mtime + 10
    os.utime(call["src"], (later, later))


def change_memory(call: dict[str, Any], folder: Path) -> None:
    call["memory"] = "64MB"


def change_part(call: dict[str, Any], folder: Path) -> None:
    call["geometry"] = Point(332_000, 5_820_900).buffer(700)


def change_methods(call: dict[str, Any], folder: Path) -> None:
    call["dst"] = {"predict": call["dst"], "predict_proba": folder / "shares.tif"}


@pytest.mark.parametrize("change", [change_model, change_source, change_memory, change_part, change_methods])
@pytest.mark.filterwarnings("ignore:X has no band names")
def test_chips_of_another_run_are_not_used(
    large: Path, model: Any, tmp_path: Path, change: Callable[[dict[str, Any], Path], None]
) -> None:
    out = tmp_path / "map.tif"
    call: dict[str, Any] = {"model": model, "src": large, "dst": out, "memory": tight(model, large, out)}
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(**call, resume=True, progress=stopping(5))
    change(call, tmp_path)
    call["memory"] = "64MB" if change is change_memory else tight(call["model"], large, call["dst"])
    seen: list[int] = []
    pw.predict_raster(**call, resume=True, progress=stopping(-1, seen))
    assert seen[0] == 1
    fresh = pw.predict_raster(**{**call, "dst": tmp_path / "fresh.tif"})
    np.testing.assert_array_equal(pw.unwrap(out).values, pw.unwrap(fresh).values)
    assert not [name for name in everything(tmp_path) if name.startswith(".")]


def test_without_it_nothing_is_kept_and_what_was_kept_is_removed(large: Path, model: Any, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    least = tight(model, large, out)
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(model, large, out, memory=least, progress=stopping(2))
    assert everything(tmp_path) == {"scene.tif"}
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(model, large, out, memory=least, resume=True, progress=stopping(2))
    assert everything(tmp_path) == {"scene.tif", ".map.tif-chips"}
    pw.predict_raster(model, large, out, memory=least)
    assert everything(tmp_path) == {"scene.tif", "map.tif", "map.tif.aux.xml"}


def test_a_half_written_chip_is_made_again(large: Path, model: Any, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    least = tight(model, large, out)
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(model, large, out, memory=least, resume=True, progress=stopping(4))
    kept = sorted((tmp_path / ".map.tif-chips").glob("*.npz"))
    kept[-1].rename(kept[-1].with_suffix(".unfinished"))
    kept[-1].with_suffix(".unfinished").write_bytes(b"half")
    seen: list[int] = []
    pw.predict_raster(model, large, out, memory=least, resume=True, progress=stopping(-1, seen))
    assert seen[0] == 3
    np.testing.assert_array_equal(pw.unwrap(out).values[0], model.predict(pw.open_raster(large)).values)


def test_chips_are_kept_until_the_map_is_in_place(large: Path, model: Any, tmp_path: Path) -> None:
    out, seen = tmp_path / "map.tif", []
    least = tight(model, large, out)

    def in_the_way(done: int, total: int) -> None:
        seen.append(total)
        if done == total:
            out.mkdir()

    with pytest.raises(RasterWriteError, match="cannot be replaced"):
        pw.predict_raster(model, large, out, memory=least, resume=True, progress=in_the_way)
    out.rmdir()
    again: list[int] = []
    pw.predict_raster(model, large, out, memory=least, resume=True, progress=stopping(-1, again))
    assert again == [len(seen)]
    np.testing.assert_array_equal(pw.unwrap(out).values[0], model.predict(pw.open_raster(large)).values)


def test_hidden_folders_of_killed_runs_are_removed(large: Path, model: Any, tmp_path: Path) -> None:
    (tmp_path / ".map.tif.abc123").mkdir()
    (tmp_path / ".other.tif.abc123").mkdir()
    pw.predict_raster(model, large, tmp_path / "map.tif", resume=True)
    assert everything(tmp_path) == {"scene.tif", "map.tif", "map.tif.aux.xml", ".other.tif.abc123"}


def test_what_is_not_a_file_cannot_be_gone_on_with(large: Path, model: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="resume=True goes on with files, and src is a DataArray"):
        pw.predict_raster(model, pw.open_raster(large), tmp_path / "map.tif", resume=True)
    assert everything(tmp_path) == {"scene.tif"}


def test_a_model_that_cannot_be_told_from_others_is_refused(large: Path, tmp_path: Path) -> None:
    model = Half()
    model.lock = threading.Lock()
    with pytest.raises(ValueError, match=r"Half cannot be pickled \(.*lock.*\): leave out what is open or running"):
        pw.predict_raster(model, large, tmp_path / "map.tif", resume=True)
    assert everything(tmp_path) == {"scene.tif"}


def test_a_map_that_cannot_be_written_is_refused_with_the_first_chip(large: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    with pytest.raises((RasterWriteError, FillValueError), match="float16"):
        pw.predict_raster(Half(), large, tmp_path / "map.tif", resume=True, progress=stopping(-1, seen))
    assert not seen


def test_a_place_that_takes_no_folder_is_an_error(large: Path, model: Any, tmp_path: Path) -> None:
    (tmp_path / ".map.tif-chips").write_text("in the way")
    with pytest.raises(RasterWriteError, match=r"chips cannot be kept in .*: File exists; check permissions"):
        pw.predict_raster(model, large, tmp_path / "map.tif", resume=True)


def test_halos_are_no_part_of_what_is_kept(large: Path, model: Any, tmp_path: Path) -> None:
    piped = make_pipeline(pw.sar.LeeSpeckle(window=5), model)
    out = tmp_path / "map.tif"
    least = tight(piped, large, out)
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(piped, large, out, memory=least, resume=True, progress=stopping(2))
    pw.predict_raster(piped, large, out, memory=least, resume=True)
    np.testing.assert_array_equal(pw.unwrap(out).values[0], piped.predict(pw.open_raster(large)).values)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pixelwise")]


def test_a_map_without_a_pixel_says_so_also_where_chips_were_kept(
    write: Any, values: np.ndarray, model: Any, tmp_path: Path
) -> None:
    cube = np.tile(values, (1, 4, 5))
    cube[2] = 0
    scene = write(cube, names=("B02", "B03", "B04", "B08"), nodata=0, tiled=True, blockxsize=32, blockysize=16)
    out = tmp_path / "map.tif"
    least = tight(model, scene, out)
    with pytest.raises(KeyboardInterrupt):
        pw.predict_raster(model, scene, out, memory=least, resume=True, progress=stopping(2))
    with pytest.warns(MissingDataWarning, match="each pixel lacks data in some band"):
        pw.predict_raster(model, scene, out, memory=least, resume=True)
