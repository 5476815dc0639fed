"""Where a process learns which rank it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.ranks import Place, find_place

NAMES = [
    "RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS",
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
]  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return lambda **values: [monkeypatch.setenv(name, value) for name, value in values.items()]


def test_alone_by_default():
    assert find_place() == Place(0, 1, "default")


def test_arguments_come_before_the_environment(environment):
    environment(RANK="1", WORLD_SIZE="4")
    assert find_place(2, 3) == Place(2, 3, "arguments")
    assert find_place(0, 1) == Place(0, 1, "arguments")


def test_rank_and_world_size_of_the_environment(environment):
    environment(RANK="1", WORLD_SIZE="4")
    place = find_place()
    assert (place.rank, place.world_size) == (1, 4)
    assert "RANK" in place.source and "WORLD_SIZE" in place.source


@pytest.mark.parametrize(
    ("asked", "rank", "size"),
    [
        ("slurm", "SLURM_PROCID", "SLURM_NTASKS"),
        ("mpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ],
)
def test_launchers_are_asked_on_request_only(environment, asked, rank, size):
    environment(**{rank: "3", size: "8"})
    assert find_place() == Place(0, 1, "default")
    place = find_place(asked)
    assert (place.rank, place.world_size) == (3, 8)
    assert rank in place.source
    # Theirs, also where a torch launcher has set its own.
    environment(RANK="0", WORLD_SIZE="2")
    assert find_place(asked).rank == 3
    assert find_place().world_size == 2
    with pytest.raises(InvalidInputError, match="world size"):
        find_place(asked, 8)


@pytest.mark.parametrize(
    ("asked", "values", "words"),
    [
        (None, {"RANK": "1"}, "both RANK and WORLD_SIZE.*'1' and None"),
        (None, {"WORLD_SIZE": "2"}, "both RANK and WORLD_SIZE"),
        (None, {"RANK": "one", "WORLD_SIZE": "2"}, "whole numbers.*'one'"),
        (None, {"RANK": "", "WORLD_SIZE": ""}, "whole numbers"),
        (None, {"RANK": "2", "WORLD_SIZE": "2"}, r"rank 2 does not exist.*ranks are 0\.\.1"),
        (None, {"RANK": "-1", "WORLD_SIZE": "2"}, "rank"),
        (None, {"RANK": "0", "WORLD_SIZE": "0"}, "world_size"),
        ("slurm", {}, "SLURM_PROCID and SLURM_NTASKS"),
        ("slurm", {"SLURM_PROCID": "0"}, "SLURM_NTASKS"),
        ("mpi", {"RANK": "0", "WORLD_SIZE": "2"}, "OMPI_COMM_WORLD_RANK"),
    ],
)
def test_an_environment_that_says_half_is_an_error(environment, asked, values, words):
    environment(**values)
    with pytest.raises(InvalidInputError, match=words):
        find_place(asked)


@pytest.mark.parametrize(
    ("rank", "world_size", "words"),
    [
        (0, None, "both rank and world_size"),
        (None, 2, "both rank and world_size"),
        (2, 2, "rank 2 does not exist in a world of 2"),
        (-1, 2, "rank"),
        (0, 0, "world_size"),
        (0.5, 2, "rank"),
        (0, "2", "world_size"),
        ("pbs", None, "'slurm' or 'mpi', not 'pbs'"),
        ("0", 2, "'slurm' or 'mpi', not '0'"),
    ],
)
def test_wrong_arguments_say_what_is_right(rank, world_size, words):
    with pytest.raises(InvalidInputError, match=words):
        find_place(rank, world_size)


def test_the_search_does_not_import_torch():
    program = (
        "import sys; from oceanarrow.ranks import find_place; "
        "assert find_place().world_size == 1; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
