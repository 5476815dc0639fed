"""Runs the benchmarks one after the other: `python benchmarks`, or `python benchmarks --quick`.

The tables go to the standard output, charts and raw numbers to benchmarks/results. Each script also
runs by itself and has more options: `python benchmarks/samples.py --help`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

#: Each script with its arguments for a quick run, of about four minutes in all.
SCRIPTS = {
    "samples.py": "--samples 14 --dense 48 --repetitions 1 --workloads cold epoch warm",
    "cold_profile.py": "--samples 14 --repetitions 1",
    "pipeline.py": "--samples 384 --repetitions 1",
    "two_threads.py": "--samples 192 --repetitions 1",
    "memory.py": "--samples 480 --repetitions 1",
    "blocks_of_days.py": "--per-day 20 --windows=-6:0",
    "second_epoch.py": "--samples 24 --repetitions 1",
    "coverage.py": "--queries 50000",
    "channels.py": "--samples 14 --repetitions 1",
    "catalog_growth.py": "--samples 192 --repetitions 1 --days 200",
    "catalog_open.py": "--days 100 200 --processes 2 --opens 3",
    "listing.py": "--files 100 --granules 10000 --repetitions 1",
    "own_files.py": "--days 6 --repetitions 1",
    "remote.py": "--repetitions 1 --samples 24 --slow-samples 2 --cold-samples 3 --opens 3",
    "stream.py": "--repetitions 1 --samples 256 --queries 1000000 --steps 1000",
}
#: Those that read a dataset, which may be one's own.
READERS = set(SCRIPTS) - {
    "blocks_of_days.py", "coverage.py", "catalog_growth.py", "catalog_open.py", "listing.py",
    "own_files.py",
    "remote.py", "stream.py",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small run, to try them")
    parser.add_argument("--dataset", help="TACO folder for the scripts that read one")
    parser.add_argument("--documented", help="checkout of the documented library, for samples.py")
    options = parser.parse_args()
    folder = Path(__file__).parent
    for script, quick in SCRIPTS.items():
        arguments = quick.split() if options.quick else []
        if options.dataset and script in READERS:
            arguments += ["--dataset", options.dataset]
        if options.documented and script == "samples.py":
            arguments += ["--documented", options.documented]
        subprocess.run([sys.executable, str(folder / script), *arguments], check=True)


if __name__ == "__main__":
    main()
