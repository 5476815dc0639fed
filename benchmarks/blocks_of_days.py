"""What blocks of days spare a shuffled epoch of plans with windows, and what they cost.

A simulation of the engine's order, which depends on no machine: queries of 10 degrees all over
the ocean of a year, of which each reads its window of days from chunks of 15 degrees and a day. For
each length of block it says how often a chunk is decoded, for caches that hold a share of the
year's chunks, and how mixed a batch is. The engine's rule is twice the extra days and six more.
"""

import argparse
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from oceanarrow import _engine

DAYS, BATCH, CHUNK, SIDE = 365, 256, 15, 10
SHARES = (0.05, 0.1, 0.2, 0.4)


def queries(a_day: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and days, in a random order."""
    rng = np.random.default_rng(0)
    count = a_day * DAYS
    west, south = rng.uniform(-180, 170, count), rng.uniform(-80, 70, count)
    days = rng.permutation(np.repeat(np.arange(DAYS, dtype=np.int32), a_day))
    boxes = np.column_stack([west, west + SIDE, south, south + SIDE])
    return boxes, np.column_stack([days, days])


def chunks(box: np.ndarray, days: range) -> Iterator[int]:
    columns = range(int((box[0] + 180) // CHUNK), int((box[1] + 180) // CHUNK) + 1)
    rows = range(int((box[2] + 90) // CHUNK), int((box[3] + 90) // CHUNK) + 1)
    cells = [row * 32 + column % (360 // CHUNK) for row in rows for column in columns]
    for day in days:
        yield from (day * 512 + cell for cell in cells)


def decodes(wanted: list[int], capacity: int) -> int:
    """Misses of a cache of the least recently used."""
    cache: OrderedDict[int, None] = OrderedDict()
    misses = 0
    for chunk in wanted:
        if chunk in cache:
            cache.move_to_end(chunk)
            continue
        misses += 1
        cache[chunk] = None
        if len(cache) > capacity:
            cache.popitem(last=False)
    return misses


def extra_of(length: int) -> int:
    """The extra days of which the engine makes blocks of this length."""
    return 0 if length == 1 else (length - 6) // 2


def report(a_day: int, first: int, last: int) -> None:
    boxes, days = queries(a_day)
    extra = last - first
    print(f"\n{a_day} queries a day, windows of days {first} to {last}\n")
    shares = " | ".join(f"cache {share:.0%}" for share in SHARES)
    print(f"| days a block | clusters | days x regions a batch | {shares} |")
    print("|---:" * (3 + len(SHARES)) + "|")
    rule = 2 * extra + 6
    for length in sorted({1, 8, 2 * extra + 6, extra // 2 * 2 + 6, 4 * extra + 6}):
        order = _engine.Order(
            boxes, days, global_batch=BATCH, seed=0, tail="drop", extra_days=extra_of(length)
        )
        wanted: list[int] = []
        mixed = []
        for step in range(order.steps_left() or 0):
            rows, _ = order.slots(0, step * order.lane_rows)
            for row in rows.tolist():
                day = int(days[row, 0])
                window = range(max(day + first, 0), min(day + last, DAYS - 1) + 1)
                wanted.extend(chunks(boxes[row], window))
            east, north = (boxes[rows, ::2] + SIDE / 2 + np.array([180, 90])).T // 90
            mixed.append(len(set(zip(days[rows, 0], east, north, strict=True))))
        distinct = len(set(wanted))
        times = [decodes(wanted, int(share * distinct)) / distinct for share in SHARES]
        cells = " | ".join(f"{number:.2f}" for number in times)
        name = f"**{length}**" if length == rule else length
        print(f"| {name} | {len(order.clusters()):,} | {np.mean(mixed):.0f} | {cells} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-day", type=int, default=400, help="queries a day (default 400)")
    parser.add_argument(
        "--windows", nargs="+", default=["0:1", "-6:0", "-6:7"], metavar="FIRST:LAST",
        help="days of the windows, from the query's (default 0:1 -6:0 -6:7)",
    )  # fmt: skip
    chosen = parser.parse_args()
    for window in chosen.windows:
        first, last = map(int, window.split(":"))
        report(chosen.per_day, first, last)


if __name__ == "__main__":
    main()
