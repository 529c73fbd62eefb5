"""Models of variograms: fitted by weighted least squares, and drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gamma as gamma_function
from scipy.special import kv

from pixelwise.errors import FoldError
from pixelwise.model_selection.variogram import EmpiricalVariogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VariogramModel", "draw_variogram", "fit_variogram"]

#: Bins that three parameters need.
_FEWEST_BINS = 3
#: Where a model is said to have reached its sill.
_PRACTICAL = 0.95
_KAPPAS = (0.05, *(k / 10 for k in range(2, 21)), 5.0, 10.0)
#: Ranges that are tried before the best is refined, and how far beyond the largest distance they go.
_RANGES, _BEYOND = 200, 10.0


@dataclass(frozen=True)
class VariogramModel:
    """A variogram model: a jump at 0, and a rise to the sill.

    Parameters
    ----------
    name : str
        "spherical", "exponential", "gaussian" or "stein".
    nugget : float
        Semivariance just beyond distance 0.
    psill : float
        Partial sill: how far it rises from there.
    range : float
        The model's own range parameter in metres.
    kappa : float or None, default=None
        Smoothness of "stein".
    sse : float, default=nan
        Weighted sum of squared errors of the fit.

    See Also
    --------
    fit_variogram : Fits one.

    Examples
    --------
    >>> from pixelwise.model_selection.variogram_models import VariogramModel
    >>> model = VariogramModel("exponential", nugget=0.1, psill=0.9, range=100.0)
    >>> round(model.practical_range), model.sill
    (300, 1.0)
    >>> model([0, 50, 300]).round(3)
    array([0.   , 0.454, 0.955])
    """

    name: str
    nugget: float
    psill: float
    range: float
    kappa: float | None = None
    sse: float = float("nan")

    @property
    def sill(self) -> float:
        """Where the model ends: nugget and partial sill together."""
        return self.nugget + self.psill

    @property
    def practical_range(self) -> float:
        """Metres at which 95% of the partial sill is reached, and all of it with "spherical"; 0 for a nugget alone."""
        return self.range * _practical(self.name, self.kappa) if self.psill > 0 else 0.0

    def __str__(self) -> str:
        name = {"gaussian": "Gaussian", "stein": "Matérn-Stein"}.get(self.name, self.name)
        kappa = "" if self.kappa is None else f", smoothness {self.kappa:g}"
        return f"{name} model: nugget {self.nugget:.3g}, sill {self.sill:.3g}{kappa}"

    def __call__(self, distances: Any) -> np.ndarray:
        """Return the semivariance at distances in metres.

        Parameters
        ----------
        distances : array-like
            Metres.

        Returns
        -------
        ndarray
        """
        h = np.asarray(distances, dtype=float)
        return np.where(h > 0, self.nugget + self.psill * _shape(self.name, self.kappa, h / self.range), 0.0)


def fit_variogram(
    variogram: EmpiricalVariogram, models: Sequence[str] = ("spherical", "exponential", "gaussian", "stein")
) -> VariogramModel:
    """Fit variogram models by weighted least squares, and return the best.

    Weights are pairs by squared distance, as in gstat and automap [1]_; the model with the smallest weighted sum of squared
    errors wins, the simplest of equals. Nugget and partial sill are 0 or more. They follow from the range, which is searched
    over the whole span of distances, and up to ten times beyond it: the fit does not depend on where it starts.

    Parameters
    ----------
    variogram : EmpiricalVariogram
        From `empirical_variogram`.
    models : sequence of str, default=("spherical", "exponential", "gaussian", "stein")
        Models to try. "stein" is Matérn's in Stein's form [2]_, with smoothness 0.05, 0.2, 0.3 ... 2, 5 and 10.

    Returns
    -------
    VariogramModel

    Raises
    ------
    FoldError
        If pairs fill fewer than 3 bins, or a model is not known.

    See Also
    --------
    empirical_variogram : What it is fitted to.

    References
    ----------
    .. [1] Pebesma, E. J. (2004): Multivariable geostatistics in S: the gstat package. Computers & Geosciences 30, 683-691.
    .. [2] Stein, M. L. (1999): Interpolation of Spatial Data: Some Theory for Kriging. Springer.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> rng = np.random.default_rng(0)
    >>> places = rng.uniform(0, 1000, (500, 2))
    >>> values = rng.normal(size=(8, 8))[*(places // 125).astype(int).T]
    >>> model = pw.fit_variogram(pw.empirical_variogram(places, values))
    >>> model.name, round(model.practical_range, -1)
    ('stein', 130.0)
    """
    unknown = [name for name in models if name not in _SHAPES]
    if unknown or not len(models):
        raise FoldError(f"models={models!r}: choose among {', '.join(map(repr, _SHAPES))}")
    if len(variogram.distances) < _FEWEST_BINS:
        raise FoldError(
            f"the pairs of samples fill {len(variogram.distances)} of {_FEWEST_BINS} bins that a model needs: "
            "give samples at more places, or other edges"
        )
    best: VariogramModel | None = None
    rounding = 1e-16 * float(variogram.gamma**2 @ variogram.weights)
    for name in models:
        for kappa in _KAPPAS if name == "stein" else (None,):
            model = _fitted(variogram, name, kappa)
            # Rounding must not make Stein's model win against the exponential one that it equals.
            if best is None or model.sse < best.sse * (1 - 1e-9) - rounding:
                best = model
    assert best is not None
    return best


def draw_variogram(ax: Axes, variogram: EmpiricalVariogram, model: VariogramModel, block_size: float | None = None) -> None:
    """Draw a variogram on axes: bins as dots sized by their pairs, the model, its practical range, and a block size.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    variogram : EmpiricalVariogram
        The dots.
    model : VariogramModel
        The line.
    block_size : float or None, default=None
        Metres, marked if they are given.
    """
    last = float(variogram.edges[-1, 1])
    unit, scale = ("km", 1000.0) if last >= 10_000 else ("m", 1.0)
    h = np.linspace(last / 1000, last, 400)
    sizes = 20 + 180 * variogram.counts / variogram.counts.max()
    ax.plot(h / scale, model(h), color="#ee6677", linewidth=2, label=str(model), zorder=2)
    ax.scatter(
        variogram.distances / scale, variogram.gamma, s=sizes, color="#4477aa", alpha=0.85, edgecolors="white", zorder=3,
        label=f"bins of {variogram.counts.min():,} to {variogram.counts.max():,} pairs",
    )  # fmt: skip
    marks = [(model.practical_range, "practical range", "#1c2430", "--"), (block_size, "block size", "#228833", ":")]
    for metres, name, color, style in marks:
        if metres:
            beyond = "" if metres <= last else ", beyond the figure"
            where = metres / scale if metres <= last else np.nan
            ax.axvline(where, color=color, linestyle=style, linewidth=1.6, label=f"{name} {metres:,.0f} m{beyond}", zorder=1)
    ax.set(xlim=(0, last / scale * 1.02), ylim=(0, None), xlabel=f"distance ({unit})", ylabel="semivariance")
    ax.legend(loc="lower right", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)


def _fitted(variogram: EmpiricalVariogram, name: str, kappa: float | None) -> VariogramModel:
    """Search the range, for each of which the best nugget and partial sill are known."""
    h, reach = variogram.distances, _practical(name, kappa)

    def errors(log_range: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _sills(variogram, _shape(name, kappa, h / np.exp(np.atleast_1d(log_range))[:, None]))

    tried = np.linspace(np.log(h[0] / reach), np.log(_BEYOND * h[-1] / reach), _RANGES)
    first = int(np.argmin(errors(tried)[2]))
    around = tried[max(first - 1, 0)], tried[min(first + 1, _RANGES - 1)]
    found = minimize_scalar(lambda at: float(errors(at)[2][0]), bounds=around, method="bounded", options={"xatol": 1e-10})
    best = found.x if found.fun <= errors(tried[first])[2][0] else tried[first]
    nugget, psill, sse = (float(each[0]) for each in errors(best))
    return VariogramModel(name, nugget, psill, float(np.exp(best)), kappa, sse)


def _sills(variogram: EmpiricalVariogram, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return nugget, partial sill and weighted squared error for each row of a model's values: both sills at 0 or above."""
    gamma, weights = variogram.gamma, variogram.weights
    whole = weights.sum()
    mean, level = shape @ weights / whole, float(gamma @ weights / whole)
    centred = shape - mean[:, None]
    spread = (centred**2) @ weights
    slope = np.divide(centred @ (weights * gamma), spread, out=np.zeros(len(shape)), where=spread > 1e-14 * whole)
    steep = shape @ (weights * gamma) / np.maximum((shape**2) @ weights, 1e-300)
    # Inside, on the border without a nugget, on the border without a partial sill: the best of those that are allowed.
    nugget = np.stack([level - slope * mean, np.zeros(len(shape)), np.full(len(shape), level)])
    psill = np.stack([slope, steep, np.zeros(len(shape))])
    squared = (gamma - nugget[..., None] - psill[..., None] * shape) ** 2 @ weights
    squared[(nugget < 0) | (psill < 0)] = np.inf
    best = np.argmin(squared, axis=0), np.arange(len(shape))
    return nugget[best], psill[best], squared[best]


def _spherical(u: np.ndarray) -> np.ndarray:
    u = np.minimum(u, 1.0)
    return np.asarray(1.5 * u - 0.5 * u**3)


def _stein(u: np.ndarray, kappa: float) -> np.ndarray:
    x = 2 * np.sqrt(kappa) * np.maximum(u, 1e-8)
    return np.asarray(1 - 2 ** (1 - kappa) / gamma_function(kappa) * x**kappa * kv(kappa, x))


_SHAPES: dict[str, Callable[..., np.ndarray]] = {
    "spherical": _spherical,
    "exponential": lambda u: -np.expm1(-u),
    "gaussian": lambda u: -np.expm1(-(u**2)),
    "stein": _stein,
}


def _shape(name: str, kappa: float | None, u: np.ndarray) -> np.ndarray:
    """Return how much of the partial sill a model has reached at distances in units of its range."""
    return _SHAPES[name](u) if kappa is None else _SHAPES[name](u, kappa)


@functools.cache
def _practical(name: str, kappa: float | None) -> float:
    """Return the practical range in units of the range."""
    if name == "spherical":
        return 1.0
    return float(brentq(lambda u: float(_shape(name, kappa, np.asarray(u))) - _PRACTICAL, 1e-6, 1e3, xtol=1e-12))
