"""What comes with an import: NumPy, and nothing else that is not Python's own."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
before = set(sys.modules)
import {module}
loaded = {{name.partition(".")[0] for name in set(sys.modules) - before}}
own = {{"oceanarrow", "numpy"}} | set(sys.stdlib_module_names)
# What installers leave in every environment.
own |= {{name for name in loaded if name.startswith(("_distutils_hack", "__editable__"))}}
print(*sorted(loaded - own))
"""


@pytest.mark.parametrize(
    "module",
    ["oceanarrow", "oceanarrow.cli", "oceanarrow.plot", "oceanarrow.taco", "oceanarrow.ray"],
)
def test_an_import_brings_numpy_alone(module: str) -> None:
    """PyTorch takes seconds, and is not there for everyone."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == []
