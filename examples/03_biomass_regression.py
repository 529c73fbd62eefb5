"""3. Regression on fused optical and radar scenes.

There is neither a free radar scene nor a map of biomass at hand: radar is made up from a short-wave band, with speckle,
and the target is Sentinel-2's band B11, a real measurement, in place of biomass.
"""

import joblib
import numpy as np
import xarray as xr
from pictures import save_maps
from scenes import OUT, catalog_of, made_here, sentinel2, tiles, with_clouds
from sklearn.ensemble import GradientBoostingRegressor

import pixelwise as gz

folder = made_here("biomass")
optical = sentinel2(["B02", "B03", "B04", "B08"])
target = sentinel2(["B02", "B11"])[1:].astype("float32").assign_coords(band=["agb_mg_ha"])
backscatter = sentinel2(["B02", "B12"])[1:].astype("float32") / 1e4
speckle = np.random.default_rng(0).gamma(4, 1 / 4, (2, *optical.shape[1:])).astype("float32")
sar = xr.concat([backscatter, backscatter**1.5], "band").assign_coords(band=["VV", "VH"]) * speckle
target, sar = (made.rio.write_crs(optical.rio.crs).rio.write_nodata(np.nan, encoded=False) for made in (target, sar))
catalog = catalog_of(folder, tiles(with_clouds(optical), 2, 4), agb=tiles(target, 2, 4), sar=tiles(sar, 2, 4))
biomass_train_catalog, biomass_test_catalog = catalog.split(0.25, random_state=0)

# Fused feature pipeline: optical + radar.
feature_pipeline = gz.Graph(
    inputs={"optical": gz.core.Input("optical"), "sar": gz.core.Input("sar")},
    outputs={"features": gz.fusion.AlignAndStack(target_grid="optical")(
        gz.cloud.MaskClouds(qa_band=-1, bits=[10, 11])(gz.core.Input("optical")),
        gz.sar.LinearToDB()(gz.sar.LeeSpeckle(window=7)(gz.core.Input("sar"))),
    )},
)

# Fit.
reg = gz.fit_pixelwise(
    estimator=GradientBoostingRegressor(n_estimators=60, max_depth=5, learning_rate=0.1, random_state=0),
    X_pipeline=feature_pipeline,
    y_pipeline=gz.catalog_ops.ReadLabel(label_uri_field="agb_uri", band="agb_mg_ha"),
    catalog=biomass_train_catalog,
    sampler=gz.sampling.RandomSampler(chip_size=(64, 64), length=150, random_state=0),
    n_pixels=10_000,
    nan_policy=gz.NanPolicy(on_input="drop", on_label="drop"),
    random_state=42,
)
joblib.dump(reg, folder / "agb_gbr.joblib")

# Predict.
predict = gz.Sequential([
    feature_pipeline,
    gz.PixelwiseRegressor(
        estimator=joblib.load(folder / "agb_gbr.joblib"),
        nan="mask",
        fill_value=np.nan,  # of regressions; classifications have codes
        output_dtype="float32",
    ),
])

scene = biomass_test_catalog[0]
mapped = predict({"optical": scene.load(), "sar": gz.open_raster(scene.metadata["sar_uri"])})
truth = gz.open_raster(scene.metadata["agb_uri"])
known = ~np.isnan(mapped.values) & ~np.isnan(truth.values[0])
left = (mapped.values - truth.values[0])[known]
r2 = 1 - (left**2).sum() / ((truth.values[0][known] - truth.values[0][known].mean()) ** 2).sum()
limits = tuple(np.percentile(truth.values, [1, 99]))
save_maps(OUT / "03_biomass_regression.png", {"B11, measured": truth, "B11, predicted": mapped}, limits=limits)
print(f"R2 {r2:.3f}, RMSE {np.sqrt((left**2).mean()):.0f} on {known.sum()} pixels of a tile that was never trained on")
