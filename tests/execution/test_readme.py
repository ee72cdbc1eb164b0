"""The README's examples run, and print what it shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "execution" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", README.read_text(), re.DOTALL)


def test_the_readme_has_an_example() -> None:
    assert BLOCKS


@pytest.mark.parametrize(("code", "shown"), BLOCKS)
def test_an_example_of_the_readme_prints_what_is_shown(code: str, shown: str) -> None:
    # A module of its own: Strawberry resolves the types that are named in annotations there.
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=README.parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.strip() == shown.strip()
