"""Print the oldest versions that pyproject.toml allows for the runtime, as constraints for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
requirements = [*project["dependencies"], *project["optional-dependencies"]["cpu"]]
print("\n".join(re.sub(r"\[.*?\]|\s", "", requirement).replace(">=", "==") for requirement in requirements))
