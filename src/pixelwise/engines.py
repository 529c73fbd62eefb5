"""compile_estimator: the predictions of a fitted estimator, computed faster by an engine of a plugin."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from joblib import parallel_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from pixelwise.errors import EngineError
from pixelwise.hookspecs import Engine, Program
from pixelwise.mapped import current, put_back, set_aside
from pixelwise.plugins import ENGINES_ELSEWHERE, plugins

__all__ = ["CompiledEstimator", "compile_estimator"]


def compile_estimator(
    estimator: Any, engine: str | None = "auto", *, verify: Any = None, n_jobs: int | None = None
) -> CompiledEstimator:
    """Translate a fitted estimator into one that predicts the same, faster.

    Engines come with plugins: ``pip install pixelwise-fast`` brings ``"fast"``, for forests and boosted trees. Of a Pipeline
    the last step is compiled and the steps before it stay, and of a search the best estimator. What no engine can translate is
    used as it is; `CompiledEstimator.explain` says what was done and why.

    Parameters
    ----------
    estimator : estimator
        A fitted scikit-learn compatible estimator. It is left as it is, and may be deleted afterwards.
    engine : str or None, default="auto"
        The name of an engine; "auto" takes the first that gives the estimator's results bit for bit; "none" or None compiles
        nothing.
    verify : array, DataFrame or PixelTable of shape (n, n_features), or None
        Pixels to compare the estimator and its translation on, before the translation is handed out.
    n_jobs : int or None, default=None
        Number of threads; None takes the estimator's own, as does ``joblib.parallel_config``.

    Returns
    -------
    CompiledEstimator
        It has the estimator's methods and learned attributes: ``predict``, ``predict_proba``, ``classes_``,
        ``n_features_in_`` and so on.

    Raises
    ------
    EngineError
        If there is no engine of that name, or the two differ on the pixels of `verify` by more than the engine allows itself.

    Examples
    --------
    >>> import numpy as np, pixelwise as pw
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = np.random.default_rng(0).normal(2000, 500, (1000, 4)).astype("float32")
    >>> y = np.where(X[:, 0] > X[:, 1], "forest", "water")
    >>> model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    >>> fast = pw.compile_estimator(model, verify=X)
    >>> bool((fast.predict(X) == model.predict(X)).all()), fast.classes_.tolist()
    (True, ['forest', 'water'])
    """
    check_is_fitted(estimator)
    return CompiledEstimator(clone(estimator), engine=engine, n_jobs=n_jobs)._take(estimator, verify)


def _has(method: str) -> Any:
    def available(self: CompiledEstimator) -> bool:
        """Whether the program, or before fitting the estimator, has the method."""
        program = self.__dict__.get("program_")
        return hasattr(self.estimator, method) if program is None else method in program.bounds

    return available_if(available)


class CompiledEstimator(MetaEstimatorMixin, BaseEstimator):
    """An estimator whose predictions an engine computes.

    `compile_estimator` makes it from a fitted estimator. It can also be fitted: then it fits the estimator and compiles that,
    so that it stands in a search or a cross-validation as any other estimator does.

    Parameters
    ----------
    estimator : estimator
        What is fitted; `compile_estimator` puts an unfitted clone here, so that the original need not be kept.
    engine : str or None, default="auto"
        See `compile_estimator`.
    n_jobs : int or None, default=None
        Number of threads; None takes the estimator's own.

    Attributes
    ----------
    program_ : Program
        What the engine made.
    engine_ : str
        The engine's name; "none" where the estimator is used as it is.
    classes_ : ndarray of shape (n_classes,)
        The classes of a classifier.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where the estimator has them.

    See Also
    --------
    compile_estimator : Makes one from a fitted estimator.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from pixelwise.engines import CompiledEstimator
    >>> model = CompiledEstimator(DummyClassifier()).fit([[1.0], [2.0], [3.0]], ["forest", "water", "water"])
    >>> model.predict([[4.0]]).tolist()
    ['water']
    >>> print(model.explain())
    none: DummyClassifier as it is, since no engine takes it...
    """

    def __init__(self, estimator: Any, *, engine: str | None = "auto", n_jobs: int | None = None) -> None:
        self.estimator = estimator
        self.engine = engine
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None, **params: Any) -> CompiledEstimator:
        """Fit a clone of the estimator and compile it.

        Parameters
        ----------
        X : array, DataFrame or PixelTable of shape (n, n_features)
            Training pixels.
        y : array of shape (n,) or (n, n_outputs), or None
            Labels or targets.
        **params : dict
            Passed on to the estimator's ``fit``, such as ``sample_weight``.

        Returns
        -------
        self
        """
        return self._take(clone(self.estimator).fit(X, y, **params), None)

    def _take(self, fitted: Any, pixels: Any) -> CompiledEstimator:
        self.engine_, self.program_, self._told = _compile(fitted, self.engine)
        for name in ("classes_", "n_classes_", "n_outputs_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            # A Pipeline has the attribute and raises where its steps lack it.
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))
        if pixels is not None:
            self._verify(fitted, pixels)
        return self

    def _verify(self, fitted: Any, pixels: Any) -> None:
        for method, bound in self.program_.bounds.items():
            # In threads, forests of scikit-learn add their trees up in the order in which they happen to finish.
            # Of the pixels the order of the features counts here, and not whether they come with names.
            with parallel_config(backend="sequential"), np.errstate(divide="ignore"), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "X does not have valid feature names")
                expected, got = getattr(fitted, method)(pixels), self._run(method, pixels)
            pairs = zip(expected, got, strict=True) if isinstance(expected, list) else [(expected, got)]
            for one, other in pairs:
                _compare(np.asarray(one), np.asarray(other), bound, f"{self.engine_!r} and {type(fitted).__name__}.{method}")

    def _run(self, method: str, X: Any) -> Any:
        check_is_fitted(self)
        if getattr(X, "ndim", 2) != 2:
            # For the words of scikit-learn, which say what to do about one pixel.
            check_array(X, dtype=None, ensure_all_finite=False)
        # Names and number of the features alone: each program makes the array that it needs.
        validate_data(self, X, reset=False, skip_check_array=True)
        return self.program_.run(method, X, self.n_jobs)

    def explain(self) -> str:
        """Say what was compiled, and what was not and why.

        Returns
        -------
        str
            One line: the engine's name; the steps, with ">" between them, and what became of each; and where an estimator is
            used as it is, the reason of each engine.

        Examples
        --------
        >>> import pixelwise as pw
        >>> from sklearn.linear_model import Ridge
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> model = make_pipeline(StandardScaler(), Ridge()).fit([[0.0], [1.0]], [0.0, 1.0])
        >>> pw.compile_estimator(model, "none").explain()
        'none: StandardScaler > Ridge as it is'
        """
        check_is_fitted(self)
        return f"{self.engine_}: {self.program_.explain()}{self._told}"

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        kept = current(saving=True)
        if kept is not None and "program_" in state:
            kept.engines.add(self.engine_)
        return {**state, "program_": set_aside(state["program_"])} if "program_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = {**state, "program_": put_back(state["program_"])} if "program_" in state else state
        super().__setstate__(state)
        # What comes from a file is looked at before a kernel follows its indices.
        if "program_" in state and current(saving=False) is not None:
            _check(self.program_)

    def __sklearn_is_fitted__(self) -> bool:
        return "program_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    @_has("predict")
    def predict(self, X: Any) -> Any:
        """Predict classes or targets, as the estimator does.

        Parameters
        ----------
        X : array, DataFrame or PixelTable of shape (n, n_features)
            Pixels.

        Returns
        -------
        ndarray of shape (n,) or (n, n_outputs)
        """
        return self._run("predict", X)

    @_has("predict_proba")
    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities of shape (n, n_classes), as the estimator does."""
        return self._run("predict_proba", X)

    @_has("predict_log_proba")
    def predict_log_proba(self, X: Any) -> Any:
        """Predict logarithms of class probabilities, as the estimator does."""
        return self._run("predict_log_proba", X)

    @_has("decision_function")
    def decision_function(self, X: Any) -> Any:
        """Return confidence scores, as the estimator does."""
        return self._run("decision_function", X)

    @_has("transform")
    def transform(self, X: Any) -> Any:
        """Transform pixels, as the estimator does."""
        return self._run("transform", X)

    @_has("predict")
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or R2 of a regressor.

        Parameters
        ----------
        X : array, DataFrame or PixelTable of shape (n, n_features)
            Pixels.
        y : array of shape (n,) or (n, n_outputs)
            True labels or targets.
        sample_weight : array of shape (n,) or None
            Weights.

        Returns
        -------
        float
        """
        measure = accuracy_score if is_classifier(self) else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))


def _check(program: Any) -> None:
    """Let a program look at its tables, if it has any."""
    if hasattr(program, "check"):
        program.check()


class PipelineProgram:
    """The first steps of a Pipeline as they are, and its last one compiled."""

    def __init__(self, front: Pipeline, tail: Program) -> None:
        self.front = front
        self.tail = tail
        self.bounds = tail.bounds

    def run(self, method: str, X: Any, n_jobs: int | None) -> Any:
        """Transform X and hand it to the compiled step."""
        return self.tail.run(method, self.front.transform(X), n_jobs)

    def check(self) -> None:
        """Let the compiled step look at its tables."""
        _check(self.tail)

    def explain(self) -> str:
        """Name the steps."""
        steps = (step if isinstance(step, str) else type(step).__name__ for _, step in self.front.steps)
        return f"{' > '.join(steps)} as it is > {self.tail.explain()}"


def _compile(fitted: Any, name: str | None) -> tuple[str, Program, str]:
    """Return the name of the engine, its program, and what there is to say about those that did not do."""
    known = {engine.name: engine for engine in plugins().engines}
    asked = list(known) if name == "auto" else ["none" if name is None else name]
    if asked[0] not in known:
        remedy = f": pip install {ENGINES_ELSEWHERE[asked[0]]}, or" if asked[0] in ENGINES_ELSEWHERE else ":"
        names = ", ".join(repr(each) for each in known)
        raise EngineError(f"engine={name!r} is not there{remedy} use 'auto', or one of {names}", engine=name)
    reasons: list[str] = []
    for each in asked:
        program = None if each == "none" else _program(known[each], fitted, reasons)
        if program is None:
            continue
        if name == "auto" and any(program.bounds.values()):
            reasons.append(f"{each} is not exact to the bit: ask for it by name")
            continue
        return each, program, ""
    source = known["none"].compile(fitted)
    assert source is not None
    if name in (None, "none"):
        return "none", source, ""
    if hasattr(fitted, "engine") and hasattr(fitted, "output_dtype"):
        return "none", source, f", since it takes an engine itself: {type(fitted).__name__}(estimator, engine={name!r})"
    missing = [package for each, package in ENGINES_ELSEWHERE.items() if each not in known]
    advice = f" (pip install {' '.join(missing)} brings more)" if missing else ""
    return "none", source, f", since {'; '.join(reasons) if reasons else f'no engine takes it{advice}'}"


def _program(engine: Engine, fitted: Any, reasons: list[str]) -> Program | None:
    """Let an engine try an estimator whole, then what is inside it."""
    try:
        whole = engine.compile(fitted)
    except EngineError as error:
        reasons.append(f"{engine.name}: {error}")
        return None
    if whole is not None:
        return whole
    if hasattr(fitted, "best_estimator_"):
        return _program(engine, fitted.best_estimator_, reasons)
    if isinstance(fitted, Pipeline) and len(fitted.steps) > 1:
        tail = None if fitted.steps[-1][1] == "passthrough" else _program(engine, fitted.steps[-1][1], reasons)
        return None if tail is None else PipelineProgram(fitted[:-1], tail)
    return None


def _compare(expected: np.ndarray, got: np.ndarray, bound: float, what: str) -> None:
    if expected.shape != got.shape:
        raise EngineError(f"{what} differ in shape, {got.shape} for {expected.shape}: do not use the engine, and report it")
    if expected.dtype.kind in "fc":
        with np.errstate(invalid="ignore"):
            off = np.abs(np.subtract(got, expected, dtype=np.float64))
        # NaN and infinities of both are equal; of one alone they are as far apart as can be.
        off = np.where((got == expected) | (np.isnan(got) & np.isnan(expected)), 0.0, np.where(np.isnan(off), np.inf, off))
    else:
        off = (got != expected).astype(np.float64)
    wrong = (off > bound).any(axis=tuple(range(1, off.ndim)))
    if wrong.any():
        raise EngineError(
            f"{what} differ in {int(wrong.sum())} of {len(wrong)} rows, by {float(off.max()):.3g} at the most, where "
            f"{bound:.3g} is allowed: use engine='none', and report it",
            rows=int(wrong.sum()),
            difference=float(off.max()),
        )
