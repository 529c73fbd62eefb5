"""Graph: operators with several inputs and outputs, wired by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin

from pixelwise.errors import BandError, GridError
from pixelwise.raster.carriers import is_raster
from pixelwise.table.pixels import PixelTable

__all__ = ["Graph", "Input", "Node"]


class Node:
    """A step of a graph: an operator, and what it is applied to. Made by calling an operator with an `Input`.

    Parameters
    ----------
    step : object
        An operator, or whatever else is called with rasters, such as a fitted Pixelwise estimator.
    *sources : Node
        Inputs or other steps, in the order in which the operator takes them.

    See Also
    --------
    Graph : What nodes are put together to.

    Examples
    --------
    >>> import pixelwise as pw
    >>> pw.indices.NDVI(red="B04", nir="B08")(pw.Input("optical"))
    NDVI(nir='B08', red='B04')(Input('optical'))
    """

    def __init__(self, step: Any, *sources: Any) -> None:
        wrong = [source for source in sources if not isinstance(source, Node)]
        if wrong or not sources:
            raise GridError(
                f"a step of a graph takes Inputs and other steps, and was given {type(wrong[0]).__name__ if wrong else 'none'}"
            )
        self.step = step
        self.sources = sources

    def __repr__(self) -> str:
        return f"{self.step!r}({', '.join(map(repr, self.sources))})"


class Input(Node):
    """A named raster that a graph is given.

    Parameters
    ----------
    name : str
        Its name.

    Examples
    --------
    >>> import pixelwise as pw
    >>> pw.Input("sar").name
    'sar'
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.step = None
        self.sources = ()

    def __repr__(self) -> str:
        return f"Input({self.name!r})"


class Graph(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Operators wired to a graph: several rasters in, one or several out.

    Each step is computed once, however many others use it. A graph is a transformer whose X is a mapping of rasters by the
    names of its inputs; one with a single input takes the raster itself, and so can be a step of a `Sequential`.

    Parameters
    ----------
    inputs : mapping of str to Input
        What the graph is given.
    outputs : mapping of str to Node
        What it gives; the raster itself where there is one output only.

    Raises
    ------
    GridError
        At once, if a step uses an input that is not declared, an input is not used, or a step is its own source.

    See Also
    --------
    Sequential : Steps one after the other.

    Examples
    --------
    >>> import pixelwise as pw
    >>> scene, _ = pw.datasets.make_example()
    >>> optical = pw.Input("optical")
    >>> graph = pw.Graph(
    ...     inputs={"optical": optical},
    ...     outputs={"ndvi": pw.indices.NDVI(red="B04", nir="B08")(optical), "ndwi": pw.indices.NDWI(3, 1)(optical)},
    ... )
    >>> found = graph({"optical": pw.open_raster(scene)})
    >>> {name: raster.shape for name, raster in found.items()}
    {'ndvi': (1, 60, 80), 'ndwi': (1, 60, 80)}
    """

    def __init__(self, inputs: Mapping[str, Input], outputs: Mapping[str, Node]) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._check()

    def _check(self) -> None:
        given: tuple[tuple[str, Any], ...] = (("inputs", self.inputs), ("outputs", self.outputs))
        for what, nodes in given:
            if not isinstance(nodes, Mapping) or not nodes:
                raise GridError(f"{what}={nodes!r}: give a mapping of names, such as {what}={{'optical': ...}}")
        wrong = [name for name, node in given[0][1].items() if not isinstance(node, Input) or node.name != name]
        if wrong:
            raise GridError(f"inputs[{wrong[0]!r}] is {self.inputs[wrong[0]]!r}: make it Input({wrong[0]!r})")
        used: set[str] = set()
        for name, node in given[1][1].items():
            if not isinstance(node, Node):
                raise GridError(f"outputs[{name!r}] is no step of a graph: call its operator with an Input")
            used.update(step.name for step in _in_order(node, ()) if isinstance(step, Input))
        unknown, idle = sorted(used - set(self.inputs)), sorted(set(self.inputs) - used)
        if unknown or idle:
            known = ", ".join(map(repr, self.inputs))
            raise GridError(
                f"the graph uses Input({unknown[0]!r}), which is none of its inputs {known}: declare it"
                if unknown
                else f"no output uses the input {idle[0]!r}: leave it out, or use it"
            )

    def nodes(self) -> list[Node]:
        """Return all inputs and steps, each once, sources first."""
        return list({id(node): node for output in self.outputs.values() for node in _in_order(output, ())}.values())

    @property
    def halo(self) -> int:
        """Pixels that the operators look at, one behind the other, on the longest way through the graph."""
        return max(_halo(node) for node in self.outputs.values())

    def __call__(self, X: Any = None, **rasters: Any) -> Any:
        """Apply the graph to a mapping of rasters, to rasters given by name, or, with one input, to a raster."""
        return self.transform(rasters if X is None else X)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any = None) -> Graph:
        """Learn nothing.

        Parameters
        ----------
        X : mapping of str to raster, or raster
            As for `transform`.
        y : object
            Not used.

        Returns
        -------
        self
        """
        self._named(X)
        return self

    def transform(self, X: Any) -> Any:
        """Apply the graph.

        Parameters
        ----------
        X : mapping of str to raster of any carrier, or raster or PixelTable
            One for each input; a graph with one input takes it as it is.

        Returns
        -------
        object
            The output, or a dict of outputs where there are several.
        """
        made: dict[int, Any] = {}
        given = self._named(X)
        for node in self.nodes():
            if isinstance(node, Input):
                made[id(node)] = given[node.name]
            else:
                made[id(node)] = node.step(*(made[id(part)] for part in node.sources))
        results = {name: made[id(node)] for name, node in self.outputs.items()}
        return results if len(results) > 1 else next(iter(results.values()))

    def _named(self, X: Any) -> Mapping[str, Any]:
        if len(self.inputs) == 1 and (isinstance(X, PixelTable) or (not isinstance(X, Mapping) and is_raster(X))):
            return {next(iter(self.inputs)): X}
        if not isinstance(X, Mapping):
            raise GridError(
                f"the graph takes a mapping of {', '.join(map(repr, self.inputs))} to rasters, and was given {type(X).__name__}"
            )
        missing, extra = sorted(set(self.inputs) - set(X)), sorted(set(X) - set(self.inputs))
        if missing or extra:
            what = f"lacks {missing[0]!r}" if missing else f"has {extra[0]!r} too many"
            raise BandError(f"the mapping of rasters {what}: the graph takes {', '.join(map(repr, self.inputs))}")
        return X


def _in_order(node: Node, above: tuple[int, ...]) -> Iterator[Node]:
    """Yield what a node is made of, sources first."""
    if id(node) in above:
        raise GridError(f"step {type(node.step).__name__} is its own source: a graph cannot go in circles")
    for source in node.sources:
        yield from _in_order(source, (*above, id(node)))
    yield node


def _halo(node: Node) -> int:
    own = getattr(node.step, "halo", 0)
    return int(own if isinstance(own, int) else 0) + max(map(_halo, node.sources), default=0)
