"""9. Land cover without labels: clusters of pixels, their spectra, and how frequent they are."""

import joblib
import numpy as np
from pictures import plot_centroid_spectra, save_maps
from scenes import OUT, crop_catalogs, made_here
from sklearn.cluster import MiniBatchKMeans

import pixelwise as gz

folder = made_here("clusters")
train, _ = crop_catalogs(folder, rows=1, cols=4)
catalog = gz.open_catalog(train)
feature_pipeline = gz.Sequential([
    gz.cloud.MaskClouds(qa_band="QA60", bits=[10, 11], keep_qa=False),
    gz.correction.TOAToBOA(sun_zenith_band="sun_zenith"),
    gz.correction.DNToReflectance(preset="sentinel-2"),
    gz.indices.AppendIndex(gz.indices.NDVI(red="B04", nir="B08"), name="NDVI"),
    gz.indices.AppendIndex(gz.indices.NDWI(green="B03", nir="B08"), name="NDWI"),
])

# Unsupervised fit.
kmeans = gz.fit_pixelwise(
    estimator=MiniBatchKMeans(n_clusters=8, batch_size=10_000, random_state=42, n_init=3),
    X_pipeline=feature_pipeline,
    y_pipeline=None,  # no labels
    catalog=catalog,
    sampler=gz.sampling.RandomSampler(chip_size=(64, 64), length=200, random_state=0),
    n_pixels=50_000,
    nan_policy=gz.NanPolicy(on_input="drop"),
    random_state=42,
)
joblib.dump(kmeans, folder / "landcover_kmeans_8.joblib")

# The cluster of each pixel.
predict = gz.Sequential([
    feature_pipeline,
    gz.PixelwiseClusterer(estimator=joblib.load(folder / "landcover_kmeans_8.joblib"), nan="mask", output_dtype="uint8"),
])
write = gz.catalog_ops.WriteCOG(path_template=str(OUT / "clusters" / "{tile}.tif"))
made = gz.catalog_ops.CatalogPipeline(catalog, gz.Sequential([predict, write]), n_workers=2).run()

# The centres of the clusters, to look at; the angle of the sun is a feature here, and no band to plot.
names = list(kmeans.feature_names_in_)
spectral = [at for at, name in enumerate(names) if name != "sun_zenith"]
centroids = kmeans.cluster_centers_
plot_centroid_spectra(centroids[:, spectral], [names[at] for at in spectral], OUT / "09_centroid_spectra.png")
first = made[0].load()
save_maps(OUT / "09_clustering.png", {"clusters": first}, [str(number) for number in range(8)])
mapped = first.values[first.values != first.rio.nodata].astype(int)
shares = np.bincount(mapped, minlength=8) / len(mapped)
print(f"clusters {np.argsort(-shares).tolist()} cover {np.round(np.sort(shares)[::-1], 3).tolist()} of the first tile")
