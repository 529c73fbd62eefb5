"""4. Pixel-wise PCA: thirteen bands of Sentinel-2 in place of two hundred, reduced for what comes after."""

import joblib
import numpy as np
from pictures import save_maps
from scenes import OUT, catalog_of, made_here, sentinel2, tiles
from sklearn.decomposition import PCA

import pixelwise as gz

folder = made_here("hyperspectral")
names = [f"B{number:02d}" for number in range(1, 9)] + ["B8A", "B09", "B10", "B11", "B12"]
hyperspectral_catalog = catalog_of(folder, tiles(sentinel2(names), 1, 2))
hyperspectral_pipeline = gz.correction.DNToReflectance(preset="sentinel-2")

# Fit PCA on a representative sample.
pca = gz.fit_pixelwise(
    estimator=PCA(n_components=5, whiten=True, random_state=0),
    X_pipeline=hyperspectral_pipeline,
    y_pipeline=None,  # unsupervised
    catalog=hyperspectral_catalog,
    sampler=gz.sampling.RandomSampler(chip_size=(64, 64), length=100, random_state=0),
    n_pixels=50_000,
    nan_policy=gz.NanPolicy(on_input="drop"),
    random_state=42,
)
joblib.dump(pca, folder / "pca_5.joblib")

# Apply it as preprocessing in any pipeline.
preprocess = gz.Sequential([
    hyperspectral_pipeline,
    gz.PixelwiseTransformer(estimator=joblib.load(folder / "pca_5.joblib"), nan="mask"),
])
components = preprocess(hyperspectral_catalog[0].load())
assert components.shape == (5, 768, 768)
# Whitened components have a standard deviation of 1.
shown = {str(name): components.sel(band=name) for name in components.band.values[:3]}
save_maps(OUT / "04_pixelwise_pca.png", shown, limits=(-2.5, 2.5))
kept = np.sum(pca.explained_variance_ratio_)
print(f"{kept:.4f} of the variance of {len(names)} bands is in {components.shape[0]} components")
