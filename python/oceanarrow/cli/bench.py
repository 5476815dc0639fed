"""`oceanarrow bench`: how fast batches come, and what limits them."""

from __future__ import annotations

import argparse
import time
from typing import Any

from oceanarrow.cli.arguments import add_dataset, add_json, command, say, say_json
from oceanarrow.cli.sizes import size
from oceanarrow.cli.storage_options import storage_options
from oceanarrow.dataset import query_files
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.loader import Loader

_EXAMPLES = """\
  oceanarrow bench ocean/OceanTACO --queries train.parquet --inputs l4_sst l3_swot
  oceanarrow bench ocean/OceanTACO --queries train.parquet --inputs l4_sst --step 50 --seconds 60
"""


_SELDOM = 0.05
"""A model that waits for less than this share of the time is what limits."""

_IDLE = 0.5
"""Processors that are busy for less than this share of one core wait for something."""

_OFTEN = 1.5
"""Decodes a chunk that are too many."""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = command(
        commands,
        "bench",
        "measure how fast batches come",
        "Streams batches of your queries for a while, with a pause a batch in place of a model. "
        "Says how many samples a second came, at which CPU time, how long the model would have "
        "waited, and what to change.",
        _EXAMPLES,
    )
    add_dataset(parser)
    parser.add_argument("--queries", required=True, metavar="FILE", help="a file of queries")
    parser.add_argument("--inputs", required=True, nargs="+", metavar="NAME")
    parser.add_argument("--targets", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--batch-size", type=int, default=16, help="default: 16")
    parser.add_argument(
        "--patch-size", nargs=2, type=int, default=(128, 128), metavar=("H", "W"),
        help="default: 128 128",
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=20.0, help="at most (default: 20)")
    parser.add_argument(
        "--step", type=float, default=0.0, metavar="MS", help="the pause a batch (default: none)"
    )
    parser.add_argument("--threads", type=int, help="by default one a core")
    parser.add_argument("--cache-bytes", type=size, metavar="SIZE", help="default: 512MiB")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measures."""
    if options.seconds <= 0 or options.step < 0:
        raise InvalidInputError("--seconds must be above 0, and --step at least 0")
    queries = query_files.load(options.queries)[0]
    loader = Loader(
        options.taco,
        queries,
        options.inputs,
        options.targets,
        batch_size=options.batch_size,
        default_patch_size=tuple(options.patch_size),
        tail="partial",
        threads=options.threads,
        cache_bytes=options.cache_bytes,
        storage_options=storage_options(options),
    )
    found = _measure(loader, options.seconds, options.step / 1e3)
    if options.json:
        say_json(found)
        return
    say(f"samples a second   {found['samples_per_second']:,.1f}")
    say(f"CPU a sample       {found['cpu_ms_per_sample']:.2f} ms")
    say(f"waited             {found['waited']:.1%} of the time")
    say(f"decodes a chunk    {found['amplification']:.2f}")
    say(f"limited by         {found['limit']}")
    for name, seconds in sorted(found["seconds"].items(), key=lambda item: -item[1]):
        say(f"  {name:<16} {seconds:6.2f} s of all threads")


def _measure(loader: Loader, seconds: float, step: float) -> dict[str, Any]:
    start, cpu = time.perf_counter(), time.process_time()
    samples = batches = 0
    waited = 0.0
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        for batch in loader:
            waited += time.perf_counter() - before
            samples += len(batch)
            batches += 1
            time.sleep(step)
            if time.perf_counter() - start >= seconds:
                break
            before = time.perf_counter()
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    stats = loader.stats()
    decodes, distinct = stats["chunks_decoded"], max(stats["chunks_distinct"], 1)
    found = {
        "samples": samples,
        "batches": batches,
        "seconds_run": took,
        "samples_per_second": samples / took,
        "cpu_ms_per_sample": 1e3 * cpu / max(samples, 1),
        "waited": waited / took,
        "amplification": decodes / distinct,
        "chunks_per_sample": decodes / max(samples, 1),
        "bytes_read": stats["bytes_read"],
        "seconds": stats["seconds"],
    }
    return found | {"limit": _limit(found, took, cpu)}


def _limit(found: dict[str, Any], took: float, cpu: float) -> str:
    """What to look at first."""
    if found["waited"] < _SELDOM:
        return "the consumer: batches are there before it asks"
    if cpu / took < _IDLE:
        return "the disk or the network: the processors wait; try an index, or a disk cache"
    if found["amplification"] > _OFTEN:
        return "inflating the same chunks again: raise --cache-bytes, see Loader.explain()"
    if found["chunks_per_sample"] < 1:
        return "rendering: smaller patches, fewer variables, or more cores"
    return "inflating: more cores; a disk cache (cache_dir) if you train for several epochs"
