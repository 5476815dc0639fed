"""PyTorch: the stream as an `IterableDataset`, and moving batches to a device."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from oceanarrow.loader import Loader
from oceanarrow.signature import takes_arguments_of


class OceanTACOIterableDataset(IterableDataset[dict[str, Any]]):
    """Streams `Batch.to_torch()` dicts, for `DataLoader(dataset, batch_size=None)`.

    Takes the arguments of `oceanarrow.Loader`. The rank is found here, in the main process. Of n
    workers, worker v makes the steps v, v + n, ...: the order does not depend on n. Threads are
    divided among the workers; as the engine has threads of its own, `num_workers=0` is the fastest
    on most machines.

    `metadata["cursor"]` of each batch is the state after it: save that of the last batch that
    was trained on, and give it to `load_state_dict`. `state_dict` and `load_state_dict` also work
    under torchdata's StatefulDataLoader.

    Raises:
        as `oceanarrow.Loader`.
    """

    @takes_arguments_of(Loader)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._loader = Loader(*args, **kwargs)
        # Shared, so that set_epoch reaches workers that live on: the epoch, and a count of calls.
        self._request = torch.zeros(2, dtype=torch.int64)
        self._request.share_memory_()  # type: ignore[no-untyped-call]
        self._request_seen = 0
        self._resumes_own_step = False

    def __len__(self) -> int:
        """Steps left in this epoch, equal on all ranks."""
        return len(self._loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        _warn_of_batches_of_batches()
        epoch, calls = self._request.tolist()
        if calls != self._request_seen:
            self._loader.set_epoch(epoch)
            self._request_seen, self._resumes_own_step = calls, False
        worker = get_worker_info()
        first, self._resumes_own_step = self._first_step(), False
        epoch = self._loader.epoch
        try:
            for batch in self._loader.iterate(first, worker.num_workers if worker else 1):
                tensors = batch.to_torch()
                tensors["metadata"]["cursor"] = batch.metadata["oceanarrow.cursor"]
                yield tensors
        finally:
            # Where an iteration is left, some workers have made all their steps and some have not:
            # only if both move on do they agree about the epoch.
            if worker is not None:
                self._loader.set_epoch(epoch + 1)

    def _first_step(self) -> int:
        """The step that this process's next iteration begins with."""
        worker = get_worker_info()
        return 0 if worker is None or self._resumes_own_step else worker.id

    @property
    def loader(self) -> Loader:
        """The loader behind the dataset, of this process."""
        return self._loader

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration runs.

        An epoch that ends in this process, or in persistent workers, is followed by the next one;
        workers that are made anew for each epoch need this call before each. One that is left
        early starts again in this process; persistent workers go on with the next.
        """
        self._loader.set_epoch(epoch)
        self._request_seen += 1
        self._request[0], self._request[1] = epoch, self._request_seen

    def state_dict(self) -> dict[str, Any]:
        """Where the iteration stands; see `oceanarrow.Loader.state_dict`."""
        if get_worker_info() is None:
            return self._loader.state_dict()
        # Of the worker's own next step, not of the step that all have reached.
        return self._loader.worker_state_dict(self._first_step()) | {"of_worker": True}

    def load_state_dict(self, state: Mapping[str, Any] | str) -> None:
        """Goes on from a state or a batch's cursor."""
        self._loader.load_state_dict(state)
        self._resumes_own_step = isinstance(state, Mapping) and "of_worker" in state


def _warn_of_batches_of_batches() -> None:
    """Warns if a DataLoader puts together what it takes here: whole batches already.

    A DataLoader tells its datasets nothing, but what asks for the first item is its fetcher.
    """
    worker = get_worker_info()
    fetcher = sys._getframe(2).f_locals.get("self")
    if getattr(fetcher, "auto_collation", False) and (worker is None or worker.id == 0):
        warnings.warn(
            "a DataLoader with a batch_size makes batches of this dataset's batches, (n, B, H, W); "
            "use DataLoader(dataset, batch_size=None), and the dataset's own batch_size",
            UserWarning,
            stacklevel=3,
        )


def to(batch: Mapping[str, Any], device: torch.device | str, *, non_blocking: bool = False) -> Any:
    """The batch with its tensors on `device`; what is no tensor stays as it is.

    With `non_blocking` and a CUDA device the tensors are pinned first, so that the copy runs
    beside the computation; the batch must then be kept until the copy is done, which the
    returned tensors see to.
    """
    pin = non_blocking and torch.device(device).type == "cuda"

    def move(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: move(entry) for key, entry in value.items()}
        if not isinstance(value, torch.Tensor):
            return value
        source = value.pin_memory() if pin else value
        return source.to(device, non_blocking=non_blocking)

    return move(batch)
