"""`python -m oceanarrow` is the command `oceanarrow`."""

import sys

from oceanarrow.cli import main

sys.exit(main())
