import sys
from pathlib import Path

# The scripts are no package; they import each other by name.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
