import sys
from pathlib import Path

# Test modules share the reference decoder and the example tables that lie beside them.
sys.path.insert(0, str(Path(__file__).parent))
# They take streams apart as the trials do.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "trust"))
