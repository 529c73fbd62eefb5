"""10. Incremental fitting: every labelled pixel of the catalog, chunk by chunk, however many there are."""

import joblib
import numpy as np
from pictures import save_maps
from scenes import CLASSES, OUT, crop_catalogs, made_here, right
from sklearn.linear_model import SGDClassifier

import pixelwise as gz

N_CLASSES = len(CLASSES)
folder = made_here("continent")
train, test = crop_catalogs(folder)
continental_catalog = gz.open_catalog(train)
feature_pipeline = gz.Sequential([
    gz.cloud.MaskClouds(qa_band="QA60", bits=[10, 11], keep_qa=False),
    gz.correction.DNToReflectance(scale=1e-3, bands=[0, 1, 2, 3]),
    gz.indices.AppendIndex(gz.indices.NDVI(red_idx=2, nir_idx=3), name="ndvi"),
])
label_pipeline = gz.catalog_ops.ReadLabel(label_uri_field="label_uri", band="crop_class")

clf = gz.fit_pixelwise_incremental(
    estimator=SGDClassifier(
        loss="log_loss",
        alpha=1e-4,
        learning_rate="optimal",
        random_state=42,
    ),
    X_pipeline=feature_pipeline,
    y_pipeline=label_pipeline,
    catalog=continental_catalog,
    sampler=gz.sampling.GridSampler(chip_size=(128, 128)),
    chunk_size=10_000,  # pixels a call of partial_fit
    classes=np.arange(N_CLASSES),  # partial_fit cannot know them from one chunk
    epochs=3,
    nan_policy=gz.NanPolicy(on_input="drop", on_label="drop"),
    shuffle=True,  # chips and pixels within each epoch
    random_state=42,
)
joblib.dump(clf, folder / "crop_sgd.joblib")

counts, maps = [], {}
predict = gz.Sequential([feature_pipeline, gz.PixelwiseClassifier(estimator=clf, output_dtype="uint8")])
for scene in gz.open_catalog(test):
    chip = scene.load()
    mapped = predict(chip)
    counts.append(right(mapped, label_pipeline(chip)))
    maps[scene.metadata["tile"]] = mapped
hits, total = sum(counts)
save_maps(OUT / "10_incremental_fitting.png", maps, CLASSES)
print(f"{clf.t_ - 1:.0f} pixels seen in 3 epochs; {hits / total:.3f} of {total} pixels of tiles never trained on are right")
