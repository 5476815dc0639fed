"""`python -m oceanarrow`."""

import sys

from oceanarrow.cli import main

sys.exit(main())
