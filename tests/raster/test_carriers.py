from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401
import xarray as xr
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pixelwise as pw
from pixelwise.errors import GridError

DTYPES = ["uint8", "int16", "uint16", "int32", "float32", "float64"]


@st.composite
def rasters(draw: st.DrawFn) -> pw.Raster:
    """A Raster of any shape, dtype, grid, nodata and band names."""
    bands, height, width = draw(st.integers(1, 4)), draw(st.integers(1, 7)), draw(st.integers(1, 7))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    seed = draw(st.integers(0, 99))
    values = np.random.default_rng(seed).integers(0, 100, (bands, height, width)).astype(dtype)
    south = draw(st.booleans())
    transform = Affine(10, 0, draw(st.integers(0, 10**6)), 0, 10 if south else -10, draw(st.integers(0, 10**6)))
    grid = pw.Grid(draw(st.sampled_from([None, "EPSG:32633", "EPSG:4326"])), transform, height, width)
    names = draw(st.sampled_from([None, ("red", "nir", "swir", "qa")]))
    nodata = draw(st.sampled_from([None, 0.0, 99.0] + [float("nan")] * (dtype.kind == "f")))
    return pw.Raster(values, grid, names[:bands] if names else None, () if nodata is None else (nodata,))


def same(a: pw.Raster, b: pw.Raster) -> bool:
    return (
        np.array_equal(a.values, b.values, equal_nan=a.values.dtype.kind == "f")
        and a.values.dtype == b.values.dtype
        and not a.grid.differs_from(b.grid)
        and a.bands == b.bands
        and np.array_equal(np.array(a.nodata, float), np.array(b.nodata, float), equal_nan=True)
    )


def as_dataarray(raster: pw.Raster) -> xr.DataArray:
    return pw.rewrap(raster, like=xr.DataArray(raster.values, dims=("band", "y", "x")))


def as_dataset(raster: pw.Raster) -> xr.Dataset:
    return xr.Dataset({name: as_dataarray(raster).isel(band=i, drop=True) for i, name in enumerate(raster.names)})


@given(rasters())
def test_unwrapping_what_was_wrapped_as_a_dataarray_is_the_identity(raster: pw.Raster) -> None:
    assert same(pw.unwrap(as_dataarray(raster)), raster)


@given(rasters())
def test_a_dataarray_goes_out_as_it_came_in(raster: pw.Raster) -> None:
    array = as_dataarray(raster)
    again = pw.rewrap(pw.unwrap(array), like=array)
    xr.testing.assert_identical(again, array)
    assert again.rio.crs == array.rio.crs


@given(rasters())
def test_a_dataset_goes_out_as_it_came_in(raster: pw.Raster) -> None:
    dataset = as_dataset(raster)
    unwrapped = pw.unwrap(dataset)
    assert unwrapped.bands == raster.names
    again = pw.rewrap(unwrapped, like=dataset)
    xr.testing.assert_identical(again, dataset)
    assert not pw.unwrap(again).grid.differs_from(raster.grid)


@given(rasters())
def test_an_ndarray_goes_out_as_it_came_in(raster: pw.Raster) -> None:
    assert pw.rewrap(pw.unwrap(raster.values), like=raster.values) is raster.values


@given(rasters())
def test_a_geotensor_goes_out_as_it_came_in(raster: pw.Raster) -> None:
    geotensor = pytest.importorskip("georeader.geotensor")
    fill = None if raster.nodata[0] is None else raster.nodata[0]
    tensor = geotensor.GeoTensor(raster.values, raster.grid.transform, raster.grid.crs, fill, {"satellite": "A"})
    unwrapped = pw.unwrap(tensor)
    again = pw.rewrap(unwrapped, like=tensor)
    assert type(again) is geotensor.GeoTensor
    assert np.array_equal(again.values, tensor.values)
    assert (again.transform, again.crs, again.attrs) == (tensor.transform, tensor.crs, tensor.attrs)
    assert np.array_equal([np.nan if v is None else v for v in (again.fill_value_default, tensor.fill_value_default)][:1],
                          [np.nan if fill is None else fill], equal_nan=True)  # fmt: skip
    assert unwrapped.grid == raster.grid


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(rasters())
def test_a_file_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, raster: pw.Raster) -> None:
    path = tmp_path_factory.mktemp("file") / "raster.tif"
    profile = {"driver": "GTiff", "height": raster.grid.height, "width": raster.grid.width, "count": raster.n_bands}
    with rasterio.open(
        path,
        "w",
        **profile,
        dtype=raster.values.dtype,
        crs=raster.grid.crs,
        transform=raster.grid.transform,
        nodata=raster.nodata[0],
    ) as file:
        file.write(raster.values)
        if raster.bands:
            file.descriptions = raster.bands
    assert same(pw.unwrap(path), raster)
    assert same(pw.unwrap(str(path)), raster)
    assert same(pw.unwrap(pw.open_raster(path)), raster)
    with rasterio.open(path) as file:
        assert same(pw.unwrap(file), raster)
    xr.testing.assert_allclose(pw.rewrap(pw.unwrap(path), like=path).drop_attrs(), pw.open_raster(path).drop_attrs())


@given(rasters())
def test_a_raster_is_its_own_carrier_and_pickles(raster: pw.Raster) -> None:
    assert pw.rewrap(pw.unwrap(raster), like=raster) is raster
    assert same(pickle.loads(pickle.dumps(raster)), raster)


@pytest.mark.parametrize("dims", [("y", "x", "band"), ("band", "x", "y"), ("x", "band", "y")])
def test_dimensions_in_another_order_come_back_in_it(raster: xr.DataArray, dims: tuple[str, ...]) -> None:
    turned = raster.transpose(*dims)
    unwrapped = pw.unwrap(turned)
    assert np.array_equal(unwrapped.values, raster.values)
    assert pw.rewrap(unwrapped, like=turned).dims == dims


@pytest.mark.parametrize(("y", "x", "band"), [("lat", "lon", "wavelength"), ("latitude", "longitude", "variable")])
def test_other_names_of_dimensions_are_known(raster: xr.DataArray, y: str, x: str, band: str) -> None:
    renamed = raster.rename({"y": y, "x": x, "band": band})
    assert pw.unwrap(renamed).grid.shape == (60, 80)
    assert pw.rewrap(pw.unwrap(renamed), like=renamed).dims == (band, y, x)


def test_a_sliced_dataarray_has_the_transform_of_its_slice(raster: xr.DataArray) -> None:
    part = raster[:, 10:20, 5:9]
    assert pw.unwrap(part).grid == pw.unwrap(raster).grid.window(10, 5, 10, 4)


@pytest.mark.parametrize("at", [(slice(10, 11), slice(5, 9)), (slice(10, 20), slice(5, 6)), (slice(7, 8), slice(7, 8))])
def test_a_slice_of_one_row_or_column_keeps_its_place(raster: xr.DataArray, at: tuple[slice, slice]) -> None:
    part = raster[:, at[0], at[1]]
    shape = part.shape[1:]
    assert not pw.unwrap(part).grid.differs_from(pw.unwrap(raster).grid.window(at[0].start, at[1].start, *shape))


def test_a_thinned_dataarray_has_larger_pixels(raster: xr.DataArray) -> None:
    grid = pw.unwrap(raster[:, ::2, ::4]).grid
    assert (grid.transform.a, grid.transform.e) == (40, -20)


def test_a_flipped_dataarray_is_south_up(raster: xr.DataArray) -> None:
    grid = pw.unwrap(raster[:, ::-1]).grid
    assert grid.transform.e == 10
    assert grid.xy([0], [0]).tolist() == pw.unwrap(raster).grid.xy([59], [0]).tolist()


def test_a_slice_of_a_rotated_file_keeps_its_place(write: Any, values: np.ndarray) -> None:
    transform = Affine.translation(330000, 5822040) @ Affine.rotation(30) @ Affine.scale(10, -10)
    opened = pw.open_raster(write(values, transform=transform))
    whole, part = pw.unwrap(opened).grid, pw.unwrap(opened[:, 10:20, 5:]).grid
    assert whole.transform.almost_equals(transform)
    assert not part.differs_from(whole.window(10, 5, 10, 75))


def test_uneven_coordinates_are_no_grid(raster: xr.DataArray) -> None:
    with pytest.raises(GridError, match="not evenly spaced"):
        pw.unwrap(raster.isel(x=[0, 1, 5, 6]))


def test_a_stale_fill_value_does_not_survive(raster: xr.DataArray) -> None:
    source = raster.assign_attrs(_FillValue=7, scale_factor=0.1)
    out = pw.rewrap(
        pw.Raster(raster.values[0].astype("uint8"), pw.unwrap(raster).grid, nodata=(255,), name="predict"), like=source
    )
    assert (out.attrs, out.rio.nodata) == ({"_FillValue": 255}, 255)


def test_nodata_that_the_dtype_does_not_hold_any_more_is_none(raster: xr.DataArray) -> None:
    ratio = (raster / 2.0).assign_attrs(_FillValue=np.nan)
    assert np.isnan(pw.unwrap(ratio).nodata[0])
    mask = (ratio > 5).astype("uint8").assign_attrs(_FillValue=np.nan)
    assert pw.unwrap(mask).nodata == (None,) * 4
    assert pw.unwrap(mask.to_dataset("band")).nodata == (None,) * 4
    assert pw.unwrap(mask.assign_attrs(_FillValue=-1)).nodata == (None,) * 4


def test_names_come_from_long_name_where_bands_are_numbers(raster: xr.DataArray) -> None:
    numbered = raster.assign_coords(band=[1, 2, 3, 4]).assign_attrs(long_name=("a", "b", "c", "d"))
    assert pw.unwrap(numbered).bands == ("a", "b", "c", "d")
    assert pw.unwrap(numbered.isel(band=[0, 1])).bands is None


def test_a_masked_array_brings_its_mask_and_takes_one_home() -> None:
    array = np.ma.masked_equal(np.array([[[1, 2], [3, 4]]]), 4)
    unwrapped = pw.unwrap(array)
    assert unwrapped.mask is not None
    assert unwrapped.mask.tolist() == [[[False, False], [False, True]]]
    again = pw.rewrap(unwrapped, like=array)
    assert np.ma.isMaskedArray(again)
    assert again.mask.tolist() == array.mask.tolist()
    out = pw.rewrap(pw.Raster(np.array([[0, 255], [1, 1]], "uint8"), unwrapped.grid, nodata=(255,)), like=array)
    assert out.mask.tolist() == [[False, True], [False, False]]


def test_a_dataset_with_one_nodata_a_variable(raster: xr.DataArray) -> None:
    dataset = xr.Dataset({"a": raster[0].drop_vars("band").rio.write_nodata(7), "b": raster[1].drop_vars("band")})
    assert pw.unwrap(dataset).nodata == (7.0, None)


def test_an_array_split_into_variables_keeps_its_nodata(raster: xr.DataArray) -> None:
    dataset = raster.rio.write_nodata(7).to_dataset("band")
    assert "_FillValue" in dataset.attrs
    assert pw.unwrap(dataset).nodata == (7.0,) * 4
    own = dataset.assign(B02=dataset["B02"].assign_attrs(_FillValue=0))
    assert pw.unwrap(own).nodata == (0.0, 7.0, 7.0, 7.0)
    assert pw.unwrap(pw.rewrap(pw.unwrap(own), like=own)).nodata == (0.0, 7.0, 7.0, 7.0)


def test_a_selection_without_pixels_says_so(raster: xr.DataArray) -> None:
    bottom, top = raster.y.values[[20, 10]]
    with pytest.raises(GridError, match=r"a raster of 0 x 80 pixels is empty: .*sel\(y=slice\(top, bottom\)\)"):
        pw.unwrap(raster.sel(y=slice(bottom, top)))
    assert pw.unwrap(raster.sel(y=slice(top, bottom))).grid.shape == (11, 80)


def test_a_dataset_that_holds_one_array_of_bands(raster: xr.DataArray) -> None:
    dataset = raster.to_dataset(name="reflectance")
    assert pw.unwrap(dataset).bands == ("B02", "B03", "B04", "B08")
    xr.testing.assert_identical(pw.rewrap(pw.unwrap(dataset), like=dataset), dataset)


def test_variables_without_rows_and_columns_are_no_bands(raster: xr.DataArray) -> None:
    dataset = raster.to_dataset(dim="band").assign(mean=("band_stat", [1.0, 2.0]), note="text")
    assert pw.unwrap(dataset).bands == ("B02", "B03", "B04", "B08")


def test_a_series_of_dates_keeps_its_time() -> None:
    times = np.array(["2018-01-01", "2018-02-01"], dtype="datetime64[ns]")
    stack = xr.DataArray(
        np.zeros((2, 3, 4, 5)), dims=("time", "band", "y", "x"), coords={"time": times, "band": ["a", "b", "c"]}
    )
    unwrapped = pw.unwrap(stack)
    assert (unwrapped.values.shape, unwrapped.bands, len(unwrapped.times or ())) == ((3, 2, 4, 5), ("a", "b", "c"), 2)
    xr.testing.assert_identical(pw.rewrap(unwrapped, like=stack), stack)


def test_a_series_of_one_band_keeps_its_time() -> None:
    times = np.array(["2018-01-01", "2018-02-01"], dtype="datetime64[ns]")
    stack = xr.DataArray(np.zeros((2, 4, 5)), dims=("time", "y", "x"), coords={"time": times})
    assert pw.unwrap(stack).values.shape == (1, 2, 4, 5)
    xr.testing.assert_identical(pw.rewrap(pw.unwrap(stack), like=stack), stack)


@pytest.mark.parametrize("thing", [np.zeros((3, 4)), [1, 2], None, xr.DataArray(np.zeros(3), dims="x")])
def test_what_is_no_raster_is_told_so(thing: object) -> None:
    assert not pw.is_raster(thing)
    with pytest.raises(TypeError, match="is no raster"):
        pw.unwrap(thing)


def test_values_must_fit_their_grid() -> None:
    grid = pw.Grid(None, Affine.identity(), 2, 2)
    with pytest.raises(GridError, match="do not fit"):
        pw.Raster(np.zeros((1, 3, 3)), grid)
    with pytest.raises(GridError, match="2 band names for 1 bands"):
        pw.Raster(np.zeros((1, 2, 2)), grid, ("a", "b"))


def test_five_dimensions_are_refused() -> None:
    with pytest.raises(GridError, match="select along the others"):
        pw.unwrap(xr.DataArray(np.zeros((1, 1, 1, 2, 2)), dims=("a", "b", "c", "y", "x")))


def test_a_dataset_of_other_axes_must_be_selected_first(raster: xr.DataArray) -> None:
    mixed = xr.Dataset({"a": raster[0].drop_vars("band"), "b": raster[1].drop_vars("band").expand_dims(level=2)})
    with pytest.raises(GridError, match="do not all have the dimensions"):
        pw.unwrap(mixed)


def test_a_map_of_a_dataset_with_one_array_of_bands_is_a_variable(raster: xr.DataArray) -> None:
    dataset = raster.to_dataset(name="reflectance")
    unwrapped = pw.unwrap(dataset)
    made = pw.rewrap(pw.Raster(unwrapped.values[0], unwrapped.grid, name="predict"), like=dataset)
    assert list(made.data_vars) == ["predict"]
    nameless = pw.rewrap(
        pw.Raster(unwrapped.values[:2], unwrapped.grid), like=dataset.to_dataarray("v").isel(v=0).to_dataset(dim="band")
    )
    assert list(nameless.data_vars) == ["band_1", "band_2"]


def test_a_dataset_without_rasters_is_none() -> None:
    assert not pw.is_raster(xr.Dataset({"a": ("x", [1.0])}))
    assert not pw.is_raster(xr.Dataset({"a": (("y", "x"), [["text"]])}))


def test_a_lazy_dataset_stays_lazy(raster: xr.DataArray) -> None:
    assert pw.unwrap(raster.to_dataset(dim="band").chunk({"x": 20})).is_lazy
