"""`python -m aeedge` is the `aeedge` command."""

import sys

from aeedge.cli import main

sys.exit(main())
