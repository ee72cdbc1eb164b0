"""Pictures are what their sources say."""

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_states_of_a_live_timeline_are_drawn() -> None:
    drawn = subprocess.run(
        [sys.executable, DOCS / "draw_states.py"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert drawn == (DOCS / "live-states.svg").read_text(encoding="utf-8"), "run `make live-states`"
