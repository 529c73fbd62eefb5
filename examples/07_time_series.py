"""7. Classification of time series: a year of Landsat 5 and 7 scenes as the features of each pixel.

How green a place is in summer stands for its crop; Fmask is real, and so are the gaps.
"""

import joblib
from pictures import save_maps
from scenes import OUT, landsat_series, made_here, right
from sklearn.ensemble import RandomForestClassifier

import pixelwise as gz

folder = made_here("series")
temporal_catalog = landsat_series(folder)

# Temporal feature pipeline.
temporal_features = gz.Sequential([
    gz.cloud.MaskClouds(qa_band=-1, classes=[2, 4, 255], keep_qa=False),  # each date by itself; Fmask has classes, no bits
    gz.correction.TOAToBOA(sun_zenith_band=-1),
    gz.temporal.LinearGapFill(),  # draws lines over the gaps that clouds leave
])

# Fit with a temporal adapter.
adapter = gz.ToTemporalPixelMajor(time_handling="features")  # (bands, dates, y, x) to (y * x, bands * dates)
clf = gz.fit_pixelwise(
    estimator=RandomForestClassifier(n_estimators=100, max_depth=15, n_jobs=-1, random_state=0),
    X_pipeline=temporal_features,
    y_pipeline=gz.catalog_ops.ReadLabel(label_uri_field="label_uri", band="crop_class"),
    catalog=temporal_catalog.filter(tile=["T00", "T01", "T10"]),
    sampler=gz.sampling.RandomSampler(chip_size=(16, 16), length=60, random_state=0),
    adapter=adapter,
    n_pixels=1_500,
    nan_policy=gz.NanPolicy(on_input="drop", on_label="drop"),
    random_state=42,
)
joblib.dump(clf, folder / "crop_ts_rf.joblib")

# Predict.
predict = gz.Sequential([
    temporal_features,
    gz.PixelwiseClassifier(
        estimator=joblib.load(folder / "crop_ts_rf.joblib"),
        adapter=adapter,
        nan="mask",
        output_dtype="uint8",
    ),
])
held_out = temporal_catalog.filter(tile="T11")[0]
series = held_out.load()
mapped, truth = predict(series), gz.open_raster(held_out.metadata["label_uri"])
hits, total = right(mapped, truth)
maps = {"July and August, all clear scenes": truth, "from the whole year": mapped}
save_maps(OUT / "07_time_series.png", maps, ["bare", "between", "green"])
print(
    f"{series.sizes['time']} dates, {clf.n_features_in_} features a pixel: {hits / total:.3f} of {total} pixels of a tile "
    "never trained on are mapped right"
)
