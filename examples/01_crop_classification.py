"""1. Crop classification: fit on pixels of many tiles, predict whole scenes elsewhere (fit globally, predict globally).

Land use of OpenStreetMap stands for crops; the clouds are made up.
"""

import joblib
from pictures import save_maps
from scenes import CLASSES, OUT, crop_catalogs, made_here, right
from sklearn.ensemble import RandomForestClassifier

import pixelwise as gz

folder = made_here("crops")
train, test = crop_catalogs(folder)

# The catalog for training: tiles with labels beside them.
train_catalog = gz.open_catalog(train)
feature_pipeline = gz.Sequential([
    gz.cloud.MaskClouds(qa_band=-1, bits=[10, 11]),
    gz.correction.TOAToBOA(sun_zenith_band=-2),
    gz.indices.AppendIndex(gz.indices.NDVI(red_idx=2, nir_idx=3), name="ndvi"),
    gz.indices.AppendIndex(gz.indices.NDWI(green_idx=1, nir_idx=3), name="ndwi"),
])
label_pipeline = gz.Sequential([gz.catalog_ops.ReadLabel(label_uri_field="label_uri", band="crop_class")])

# Fit globally.
clf = gz.fit_pixelwise(
    estimator=RandomForestClassifier(n_estimators=50, max_depth=20, n_jobs=-1, random_state=0),
    X_pipeline=feature_pipeline,
    y_pipeline=label_pipeline,
    catalog=train_catalog,
    sampler=gz.sampling.RandomSampler(chip_size=(64, 64), length=200, random_state=0),
    n_pixels=20_000,
    nan_policy=gz.NanPolicy(on_input="drop", on_label="drop"),
    random_state=42,
)
joblib.dump(clf, folder / "crop_rf_2024.joblib")

# Predict globally.
predict_pipeline = gz.Sequential([
    feature_pipeline,
    gz.PixelwiseClassifier(
        estimator=joblib.load(folder / "crop_rf_2024.joblib"),
        nan="mask",  # pixels without data get the fill value
        output_dtype="uint8",
    ),
])
test_catalog = gz.open_catalog(test)
made = gz.catalog_ops.CatalogPipeline(
    test_catalog,
    gz.Sequential([
        predict_pipeline,
        gz.catalog_ops.WriteCOG(path_template=str(OUT / "crop_2024" / "{tile}.tif")),
    ]),
    n_workers=2,
).run()

# What it is about: how often the map is right where it was never trained.
counts, maps = [], {}
for scene, mapped in zip(test_catalog, made, strict=True):
    truth, codes = label_pipeline(scene.load()), mapped.load()
    counts.append(right(codes, truth))
    maps |= {f"{scene.metadata['tile']}: OpenStreetMap": truth, f"{scene.metadata['tile']}: map": codes}
hits, total = sum(counts)
save_maps(OUT / "01_crop_classification.png", maps, CLASSES)
print(f"{hits / total:.3f} of {total} labelled pixels of {len(test_catalog)} tiles never trained on are mapped right")
