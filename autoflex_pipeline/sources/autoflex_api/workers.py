"""Runs the requests of one question on a few threads, and stops asking once one of them has failed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from autoflex_pipeline.errors import SourceError

Item = TypeVar("Item")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Value]):
    """What became of one item: its value, or the error. Neither: it was not tried because another one had failed."""

    item: Item
    value: Value | None = None
    error: SourceError | None = None


class Workers:
    """A pool of threads, made when first needed."""

    def __init__(self, width: int, name: str) -> None:
        self.width = width
        self._name = name
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Take no more work; what runs ends by itself."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)

    def map(
        self,
        function: Callable[[Item], Value],
        items: Iterable[Item],
        *,
        go_on_after: tuple[type[SourceError], ...] = (),
        stop_after: Callable[[Value], bool] | None = None,
    ) -> list[Outcome[Item, Value]]:
        """``function`` of each item, in the order of ``items``.

        A SourceError is an outcome. After one that is not of ``go_on_after``, or a value that is one to ``stop_after``,
        items that have not begun are left out. Any other exception is raised.
        """
        work = list(items)
        stop = threading.Event()

        def attempt(item: Item) -> Outcome[Item, Value]:
            if stop.is_set():
                return Outcome(item)
            try:
                value = function(item)
                if stop_after is not None and stop_after(value):
                    stop.set()
                return Outcome(item, value=value)
            except SourceError as error:
                if not isinstance(error, go_on_after):
                    stop.set()
                return Outcome(item, error=error)
            except BaseException:
                stop.set()
                raise

        if self.width == 1 or len(work) == 1:
            return [attempt(item) for item in work]
        futures = [self._get_pool().submit(attempt, item) for item in work]
        try:
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            raise

    def _get_pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.width, thread_name_prefix=self._name)
            return self._pool
