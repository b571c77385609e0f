"""The floors of the dependency ranges, as constraints of pip.

python .ci/floors.py > floors.txt
pip install --dry-run -e ".[all]" -c floors.txt      # do they go together?
pip install -e ".[all,test]" -c floors.txt && pytest # do the tests pass on them?
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def floors() -> dict[str, str]:
    """The lowest version of each dependency, of the project and of its extras but `test`."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(n for k, v in extras.items() if k != "test" for n in v)]
    found = (re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*[>=]=\s*([\w.]+)", text) for text in needed)
    return {match[1]: match[2] for match in found if match and match[1] != "priemo-bench"}


if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in floors().items()))
