"""Pictures of the examples: maps side by side, and lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

#: Colours that a reader expects of land cover; other classes take those of a colour map.
LAND = {
    "farm": "#e6c86e",
    "forest": "#1f6b3a",
    "meadow": "#9ccf6a",
    "residential": "#c8433b",
    "scrub": "#8a6d3b",
    "water": "#2f78b7",
    "wetland": "#7fb7be",
    "bare": "#c9a26b",
    "between": "#cfe08a",
    "green": "#2c8a3d",
}


def save_maps(path: Path, maps: dict[str, Any], names: list[str] | None = None, limits: Any = None) -> None:
    """Save rasters of one band next to each other: classes by name, or values with a scale, between limits if given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(1, len(maps), figsize=(5 * len(maps), 5), layout="constrained", squeeze=False)
    others = plt.get_cmap("tab10" if len(names or []) <= 10 else "tab20").colors
    colors = [LAND.get(name, others[at]) for at, name in enumerate(names or [])]
    for axis, (title, raster) in zip(axes[0], maps.items(), strict=True):
        values = np.squeeze(np.asarray(raster)).astype(float)
        nodata = getattr(raster, "rio", None) and raster.rio.nodata
        values = values if nodata is None or np.isnan(nodata) else np.where(values == nodata, np.nan, values)
        if names:
            axis.imshow(values, cmap=ListedColormap(colors), vmin=-0.5, vmax=len(names) - 0.5, interpolation="none")
        else:
            low, high = limits or (None, None)
            figure.colorbar(axis.imshow(values, vmin=low, vmax=high, interpolation="none"), ax=axis, shrink=0.6)
        axis.set_title(title)
        axis.set_axis_off()
    if names:
        handles = [Patch(color=color, label=name) for color, name in zip(colors, names, strict=True)]
        figure.legend(handles=handles, loc="outside lower center", ncol=4)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_centroid_spectra(centroids: Any, feature_names: list[str], path: Path) -> None:
    """Save the bands of each cluster's centre as a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    for number, centre in enumerate(np.asarray(centroids)):
        axis.plot(range(len(centre)), centre, marker="o", color=plt.get_cmap("tab10")(number), label=str(number))
    axis.set_xticks(range(len(feature_names)), feature_names)
    axis.set_ylabel("centre of the cluster")
    axis.legend(title="cluster", ncol=2, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def save_bars(path: Path, values: dict[str, float], title: str) -> None:
    """Save numbers as bars."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    axis.barh(list(values), list(values.values()))
    axis.set_title(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)
