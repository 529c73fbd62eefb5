"""Which of joblib's backends does the work of a run: processes here, or a cluster of dask or ray."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import joblib
from joblib.parallel import get_active_backend

from pixelwise.errors import CatalogError, DependencyMissingError

__all__ = ["backend_named"]


@contextlib.contextmanager
def backend_named(name: str | None, lost: Callable[..., Any] | None = None) -> Iterator[None]:
    """Let joblib work on a backend inside the block.

    Parameters
    ----------
    name : str or None
        "loky", "threading", "dask", "ray", or one that was registered; None takes that of ``joblib.parallel_config``.
    lost : callable or None, default=None
        What stands for the result of a task that dask could not do, as where its worker has died: a function of the task's
        arguments and the error.

    Yields
    ------
    None

    Raises
    ------
    CatalogError
        If there is no such backend, dask has no client, or the backend gives no results before all is done, without which
        nothing would be written down of a run that is killed.
    DependencyMissingError
        If dask or ray is not installed.

    Examples
    --------
    >>> from pixelwise.inference.backends import backend_named
    >>> import joblib
    >>> with backend_named("threading"):
    ...     joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(number) for number in (-1, -2))
    [1, 2]
    """
    if name == "ray":
        _register_ray()
    try:
        chosen = contextlib.nullcontext() if name is None else joblib.parallel_config(backend=name)
    except (ImportError, ValueError) as error:
        raise _explained(name, error) from error
    with contextlib.ExitStack() as stack:
        stack.enter_context(chosen)
        backend, _ = get_active_backend()
        if not (backend.supports_return_generator or type(backend).__name__ == "SequentialBackend"):
            kind = type(backend).__name__
            raise CatalogError(f"{kind} gives results when all is done: choose backend='loky', 'threading', 'dask' or 'ray'")
        if lost is not None and type(backend).__name__ == "DaskDistributedBackend":
            stack.enter_context(_errors_told(backend, lost))
        yield


@contextlib.contextmanager
def _errors_told(backend: Any, lost: Callable[..., Any]) -> Iterator[None]:
    """Let joblib hear of errors of dask itself, such as of workers that have died: else it waits for their tasks for ever."""
    name = "submit" if hasattr(backend, "submit") else "apply_async"
    send = getattr(backend, name)

    def sent(batch: Any, callback: Any = None) -> Future[Any]:
        """Send tasks; joblib's backend calls back where there is no error, and this where there is one."""

        def tell(done: Future[Any]) -> None:
            """Hand over what stands for the results."""
            error = done.exception()
            if error is not None:
                callback([lost(*args, error) for _, args, _ in batch.items])

        future: Future[Any] = send(batch, callback)
        future.add_done_callback(tell)
        return future

    setattr(backend, name, sent)
    try:
        yield
    finally:
        delattr(backend, name)


def _register_ray() -> None:
    try:
        import ray
        from ray.util.joblib.ray_backend import RayBackend
    except ImportError as error:
        raise DependencyMissingError("backend='ray' needs ray: install pixelwise[ray], or choose 'loky' or 'dask'") from error

    class Backend(RayBackend):
        """Ray's own, which does give results as they come, but has inherited that it does not."""

        supports_return_generator = True

    if not ray.is_initialized():
        # At RAY_ADDRESS, or on this machine.
        ray.init(include_dashboard=False)
    joblib.register_parallel_backend("ray", Backend)


def _explained(name: Any, error: Exception) -> Exception:
    told = " ".join(str(error).split())
    if name == "dask" and importlib.util.find_spec("distributed") is None:
        return DependencyMissingError("backend='dask' needs dask.distributed: install pixelwise[dask], or choose 'loky'")
    if name == "dask":
        return CatalogError("backend='dask' needs a client: make one with dask.distributed.Client(), or choose 'loky'")
    return CatalogError(f"backend={name!r} cannot be used ({told}): choose loky, threading, dask or ray, or register it")
