"""Instructions that the inner loops take, counted by callgrind: the same on a busy machine as on an
idle one.

Each kernel of `rust/engine/benches/kernels.rs` runs twice, with different numbers of repetitions;
the difference is what a repetition takes. The counts are compared with `kernels.json`, which
`--update` writes anew. Callgrind imitates a processor with AVX2 and without AVX-512.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BASELINE = Path(__file__).with_name("kernels.json")
FEW, MANY = 3, 13
EXAMPLES = """\
examples:
  python benchmarks/kernels.py
  python benchmarks/kernels.py --only area_f32_sparse
  python benchmarks/kernels.py --update
"""


def build() -> Path:
    """The benchmark's program, optimised as a wheel is."""
    command = ["cargo", "build", "--locked", "--release", "--package", "oceanarrow-engine"]
    command += ["--bench", "kernels", "--message-format", "json"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    messages = (json.loads(line) for line in done.stdout.splitlines())
    built = [message["executable"] for message in messages if message.get("executable")]
    return Path(built[-1])


def instructions(program: Path, kernel: str, repetitions: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [str(program), kernel, str(repetitions)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if counted is None:
        raise RuntimeError(f"callgrind counted nothing: {done.stderr}")
    return int(counted[1])


def measure(program: Path, only: list[str]) -> dict[str, int]:
    listed = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
    counts = {}
    for kernel in listed.stdout.split():
        if not only or kernel in only:
            few, many = (instructions(program, kernel, times) for times in (FEW, MANY))
            counts[kernel] = (many - few) // (MANY - FEW)
            if sys.stderr.isatty():
                print(f"\r{kernel:<30}", end="", file=sys.stderr)
    return counts


def report(counts: dict[str, int], known: dict[str, int], tolerance: float) -> list[str]:
    """Prints the table; returns the kernels that have become dearer."""
    dearer = []
    print("\n| kernel | instructions | against kernels.json |")
    print("|---|---:|---:|")
    for kernel, count in counts.items():
        change = count / known[kernel] - 1 if kernel in known else None
        print(f"| {kernel} | {count:,} | {'new' if change is None else f'{change:+.1%}'} |")
        if change is not None and change > tolerance:
            dearer.append(kernel)
    compiler = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout
    print(f"\nA repetition each; {compiler.strip()}, {platform.machine()}.")
    return dearer


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="KERNEL", help="these alone")
    parser.add_argument("--update", action="store_true", help=f"write {BASELINE.name} anew")
    parser.add_argument(
        "--tolerance", type=float, default=0.05, help="share by which a kernel may become dearer"
    )
    return parser.parse_args()


def main() -> None:
    options = parse()
    if shutil.which("valgrind") is None:
        sys.exit("this needs valgrind: apt install valgrind")
    counts = measure(build(), options.only)
    known = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    dearer = report(counts, known, options.tolerance)
    if options.update:
        BASELINE.write_text(json.dumps(known | counts, indent=2) + "\n")
    elif dearer:
        sys.exit(f"dearer than before: {', '.join(dearer)}")


if __name__ == "__main__":
    main()
