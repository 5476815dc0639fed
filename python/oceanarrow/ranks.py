"""Which of how many processes this one is."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Literal

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.request import check_positive

RankSource = int | Literal["slurm", "mpi"] | None

_ENVIRONMENTS = {
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS"),
    "mpi": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
}


@dataclass(frozen=True)
class Place:
    """A rank, the number of ranks, and where the two were learnt."""

    rank: int
    world_size: int
    source: str


def find_place(rank: RankSource = None, world_size: int | None = None) -> Place:
    """The place of this process: as given, else by torch.distributed, else by the environment.

    Args:
        rank: a number; `"slurm"` or `"mpi"` for the variables that SLURM or Open MPI set; None
            for torch.distributed where it is initialised, else RANK and WORLD_SIZE, else 0 of 1.
        world_size: the number of ranks, with a number for `rank`.

    Raises:
        InvalidInputError: only one of the two is known, or the rank is not below the world size.
    """
    if isinstance(rank, str):
        if rank not in _ENVIRONMENTS:
            raise InvalidInputError(f"rank must be a number, 'slurm' or 'mpi', not {rank!r}")
        if world_size is not None:
            raise InvalidInputError(f"with rank={rank!r} the world size is {rank}'s own")
        return _from_environment(*_ENVIRONMENTS[rank], required=True) or Place(0, 1, "default")
    if rank is not None or world_size is not None:
        if rank is None or world_size is None:
            raise InvalidInputError("give both rank and world_size, or neither")
        return _checked(rank, world_size, "arguments")
    # Whoever uses torch.distributed has imported torch.
    distributed = getattr(sys.modules.get("torch"), "distributed", None)
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return _checked(distributed.get_rank(), distributed.get_world_size(), "torch.distributed")
    return _from_environment("RANK", "WORLD_SIZE") or Place(0, 1, "default")


def local_ranks() -> int:
    """Ranks that share this machine's cores, as torchrun, accelerate or Open MPI tell; else 1."""
    for name in ("LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"):
        value = os.environ.get(name, "")
        if value.isdecimal() and int(value) > 0:
            return int(value)
    return 1


def _from_environment(rank: str, world_size: str, *, required: bool = False) -> Place | None:
    values = [os.environ.get(name) for name in (rank, world_size)]
    if values == [None, None] and not required:
        return None
    try:
        numbers = [int(value or "") for value in values]
    except ValueError:
        raise InvalidInputError(
            f"the environment must set both {rank} and {world_size} to whole numbers; "
            f"it says {values[0]!r} and {values[1]!r}"
        ) from None
    return _checked(numbers[0], numbers[1], f"{rank} and {world_size}")


def _checked(rank: int, world_size: int, source: str) -> Place:
    check_positive("world_size", world_size)
    check_positive("rank", rank, minimum=0)
    if rank >= world_size:
        raise InvalidInputError(
            f"rank {rank} does not exist in a world of {world_size} (from {source}); "
            f"ranks are 0..{world_size - 1}"
        )
    return Place(int(rank), int(world_size), source)
