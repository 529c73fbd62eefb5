"""8. Spatial cross-validation within a search: pixels of a block of land stay in one fold."""

import joblib
import numpy as np
from pictures import save_bars
from scenes import OUT, crop_catalogs, made_here
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold

import pixelwise as gz

folder = made_here("validation")
train, _ = crop_catalogs(folder)
train_catalog = gz.open_catalog(train)
feature_pipeline = gz.Sequential([
    gz.cloud.MaskClouds(qa_band="QA60", bits=[10, 11], keep_qa=False),
    gz.indices.AppendIndex(gz.indices.NDVI(red_idx=2, nir_idx=3), name="ndvi"),
])
label_pipeline = gz.catalog_ops.ReadLabel(label_uri_field="label_uri", band="crop_class")

# Band 1 of the labels is the number of the spatial block: blocks of 1 km here, as the scene has 15.
block_label_pipeline = gz.Sequential([
    label_pipeline,
    gz.spatial.BlockID(block_size_m=1_000),
])


def search(cv):
    """Return a search for the best forest, scored by some folds."""
    return GridSearchCV(
        estimator=RandomForestClassifier(n_estimators=30, n_jobs=-1, random_state=0),
        param_grid={"max_depth": [5, 20], "min_samples_leaf": [1, 20]},
        cv=cv,
        scoring="f1_macro",
        n_jobs=1,  # the forest has its own
    )


def fit(grid, **options):
    """Fit a search on the pixels of the catalog."""
    return gz.fit_pixelwise(
        estimator=grid,
        X_pipeline=feature_pipeline,
        y_pipeline=block_label_pipeline,
        catalog=train_catalog,
        sampler=gz.sampling.RandomSampler(chip_size=(64, 64), length=150, random_state=0),
        n_pixels=8_000,
        nan_policy=gz.NanPolicy(on_input="drop", on_label="drop"),
        random_state=42,
        **options,
    )


# fit_pixelwise passes the block on as groups=.
fitted_grid = fit(search(GroupKFold(n_splits=5)), group_band=1)
print(f"Best params: {fitted_grid.best_params_}")
print(f"Best CV score: {fitted_grid.best_score_:.3f}")
# The best estimator is fitted on the full training set.
joblib.dump(fitted_grid.best_estimator_, folder / "crop_rf_tuned.joblib")

# The same by the coordinates that travel with the pixels, and what random folds would have said.
by_place = fit(search(gz.SpatialBlockGroupKFold(5, block_size=1_000)), group_band=1)
at_random = fit(search(KFold(5, shuffle=True, random_state=0)))
scores = {
    "random folds": at_random.best_score_,
    "blocks of 1 km, by coordinates": by_place.best_score_,
    "blocks of 1 km, by band": fitted_grid.best_score_,
}
save_bars(OUT / "08_spatial_cross_validation.png", scores, "macro F1 by cross-validation")
listed = ", ".join(f"{name}: {score:.3f}" for name, score in scores.items())
print(f"{listed} - random folds flatter by {np.ptp(list(scores.values())):.3f}")
