"""6. A classifier a tile (fit locally, predict locally): the scene's metadata finds its model, loaded on first use."""

import joblib
import numpy as np
from pictures import save_maps
from scenes import CLASSES, OUT, crop_catalogs, made_here, right
from sklearn.ensemble import RandomForestClassifier

import pixelwise as gz

folder = made_here("tiles")
train, _ = crop_catalogs(folder, rows=1, cols=4)
train_catalog = gz.open_catalog(train)
feature_pipeline = gz.Sequential([
    gz.cloud.MaskClouds(qa_band="QA60", bits=[10, 11], keep_qa=False),
    gz.indices.AppendIndex(gz.indices.NDVI(red_idx=2, nir_idx=3), name="ndvi"),
])
label_pipeline = gz.Sequential([gz.catalog_ops.ReadLabel(label_uri_field="label_uri", band="crop_class")])

# Fit one model a tile.
tile_models = {}
for tile_id in train_catalog.tiles():
    tile_catalog = train_catalog.filter(tile=tile_id)
    clf = gz.fit_pixelwise(
        estimator=RandomForestClassifier(n_estimators=30, n_jobs=-1, random_state=0),
        X_pipeline=feature_pipeline,
        y_pipeline=label_pipeline,
        catalog=tile_catalog,
        sampler=gz.sampling.RandomSampler(chip_size=(64, 64), length=50, random_state=0),
        n_pixels=5_000,
        nan_policy=gz.NanPolicy(on_input="drop", on_label="drop"),
        random_state=42,
    )
    joblib.dump(clf, folder / f"crop_rf_{tile_id}.joblib")
    tile_models[tile_id] = clf

# Dispatch by Switch at inference.
classifier_dispatch = gz.core.Switch(
    key=lambda gt: gt.metadata["mgrs_tile"],
    cases={
        tile_id: gz.PixelwiseClassifier(estimator=clf, nan="mask", output_dtype="uint8")
        for tile_id, clf in tile_models.items()
    },
    default=gz.core.Raise("no model for tile: {key}"),
)
predict = gz.Sequential([feature_pipeline, classifier_dispatch])
write = gz.catalog_ops.WriteCOG(path_template=str(OUT / "per_tile" / "{tile}.tif"))
gz.catalog_ops.CatalogPipeline(train_catalog, gz.Sequential([predict, write]), n_workers=2).run()

# A country has hundreds of tiles: give paths instead of models. Each is loaded when its tile comes, and the last ones are kept.
paths = {}
for tile_id, clf in tile_models.items():
    model = gz.PixelwiseClassifier(estimator=clf, nan="mask", output_dtype="uint8")
    paths[tile_id] = gz.save_artifact(model, folder / f"{tile_id}.pixelwise")
lazy = gz.core.Switch(
    key="mgrs_tile",
    cases=gz.ModelRegistry(paths, max_models=2),
    default=gz.core.Raise("no model for tile: {key}"),
)

# A forest adds up its trees as its threads end, so that the last bit of a probability, and a tie, may change from run to run.
maps, counts, differ = {}, [], 0
for scene in train_catalog:
    chip = scene.load()
    mapped, again = predict(chip), gz.Sequential([feature_pipeline, lazy])(chip)
    differ += np.sum(mapped.values != again.values)
    counts.append(right(mapped, label_pipeline(chip)))
    maps[scene.metadata["tile"]] = mapped
hits, total = sum(counts)
save_maps(OUT / "06_per_tile_classifier.png", maps, CLASSES)
print(
    f"{len(tile_models)} models for {len(train_catalog)} tiles, {len(lazy.cases.loaded)} in memory at the end; maps of models "
    f"given as paths differ in {differ} pixels; {hits / total:.3f} of {total} labelled pixels, many trained on, are right"
)
