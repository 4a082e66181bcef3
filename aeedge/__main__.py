"""`python -m aeedge` is the `aeedge` command."""

import sys

from aeedge.cli.main import main

sys.exit(main())
