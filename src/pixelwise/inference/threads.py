"""One thread a worker: what works inside several workers does not start threads of its own on top."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator

import joblib
import rasterio
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


@functools.lru_cache(maxsize=1)
def _controller(modules: int) -> ThreadpoolController:  # noqa: ARG001
    """Find the libraries that have threads, which takes some 10 ms; again where modules have been imported since."""
    return ThreadpoolController()


class _OneBlasThread:
    """Holds BLAS to one thread in the whole process, from the first thread that enters to the last one that leaves.

    A thread of its own does it: threadpoolctl lets one thread alone set the limit, and those that enter may not be the ones
    that leave last. Who has set a limit round all of this keeps it.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._held, self._left = threading.Event(), threading.Event()
        self._keeper: threading.Thread | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._held, self._left = threading.Event(), threading.Event()
                self._keeper = threading.Thread(target=self._keep, name="pixelwise-blas", daemon=True)
                self._keeper.start()
                self._held.wait()

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._keeper is not None:
                self._left.set()
                self._keeper.join()

    def _keep(self) -> None:
        try:
            with _controller(len(sys.modules)).limit(limits=1, user_api="blas"):
                self._held.set()
                self._left.wait()
        finally:
            self._held.set()


_BLAS = _OneBlasThread()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Hold all that would start threads of its own to the calling one: joblib, OpenMP, BLAS and GDAL.

    A forest with ``n_jobs=-1`` in each of eight workers would else start eight times as many threads as there are processors.
    It may be entered by several threads at a time, in any order: the limit of BLAS, which counts for the whole process, is
    put back when the last one leaves; all others count for the thread that set them.

    Yields
    ------
    None

    Examples
    --------
    >>> import joblib
    >>> from pixelwise.inference.threads import one_thread
    >>> with one_thread():
    ...     joblib.effective_n_jobs(-1)
    1
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_BLAS)
        stack.enter_context(_controller(len(sys.modules)).limit(limits=1, user_api="openmp"))
        stack.enter_context(joblib.parallel_config(backend="sequential"))
        stack.enter_context(rasterio.Env(GDAL_NUM_THREADS="1"))
        yield
