"""Hugging Face datasets: the stream as an `IterableDataset`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from oceanarrow.loader import Loader
from oceanarrow.optional import require
from oceanarrow.request import check_positive
from oceanarrow.signature import takes_arguments_of

if TYPE_CHECKING:
    import datasets


@takes_arguments_of(Loader)
def to_iterable_dataset(
    *args: Any, num_shards: int = 1, epoch: int = 0, **kwargs: Any
) -> datasets.IterableDataset:
    """One epoch of the stream as a Hugging Face `IterableDataset`: an example is a whole batch.

    Takes the arguments of `oceanarrow.Loader`. Use it without a format, in which the arrays pass
    through untouched (`with_format("numpy")` too; `with_format("torch")` copies), and with
    `DataLoader(dataset, batch_size=None)`. Each rank makes its own; do not split it by node.

    Args:
        num_shards: shards, each every `num_shards`-th step of this rank. Give the number of
            DataLoader workers: the steps are then in the loader's own order. Resuming replays the
            current shard from its start, as datasets does for generators; to go on without a
            replay use `oceanarrow.Loader.load_state_dict`.
        epoch: which epoch of the order.

    Returns:
        A dataset of `Batch.to_numpy()` dicts, whose `metadata` also holds the batch's `cursor`.

    Raises:
        ImportError: datasets is not installed.
        otherwise as `oceanarrow.Loader`.
    """
    hugging_face = require("datasets", "to_iterable_dataset", extra="huggingface")
    check_positive("num_shards", num_shards)
    loader = Loader(*args, **kwargs)
    loader.set_epoch(epoch)
    shards = list(range(num_shards))
    dataset: datasets.IterableDataset = hugging_face.IterableDataset.from_generator(
        _examples, gen_kwargs={"loader": loader, "num_shards": num_shards, "shards": shards}
    )
    return dataset


def _examples(loader: Loader, num_shards: int, shards: list[int]) -> Iterator[dict[str, Any]]:
    epoch = loader.epoch
    for shard in shards:
        loader.set_epoch(epoch)
        for batch in loader.iterate(shard, num_shards):
            arrays = batch.to_numpy()
            arrays["metadata"]["cursor"] = batch.metadata["oceanarrow.cursor"]
            yield arrays
    loader.set_epoch(epoch)
