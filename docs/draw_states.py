"""Draws live-states.svg from live-states.txt: boxes on a grid, and arrows between them."""

import sys
from html import escape
from math import hypot
from pathlib import Path

HERE = Path(__file__).parent
# Pixels: a box, the room between two of them, and around all.
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 190, 64, 110, 110, 24
# How far arrows there and back are apart.
APART = 34
# Readable on white and on black.
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1c2733; text-anchor: middle }
.title { font-weight: 600 } .label { font-size: 12px; fill: #4a5a6a }
rect { fill: #e8f1fb; stroke: #2f6fb0; stroke-width: 1.5; rx: 10 }
path { fill: none; stroke: #5c6f82; stroke-width: 1.5; marker-end: url(#head) }
marker path { fill: #5c6f82; stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #e8eef5 } .label { fill: #b3c0cd } rect { fill: #17324d; stroke: #6aa7e0 } path { stroke: #9fb0c0 }
marker path { fill: #9fb0c0 } }
"""


def drawn(source: str) -> str:
    """The picture. Raises ValueError for a line that says nothing."""
    title = description = ""
    states: dict[str, tuple[float, float, str, str]] = {}
    arrows: list[tuple[str, str, str]] = []
    for line in source.splitlines():
        word, _, rest = line.partition(" ")
        if word == "title":
            title = rest
        elif word == "describe":
            description = rest
        elif word == "state":
            place, name, told = (part.strip() for part in rest.split(":", 2))
            key, column, row = place.split()
            x, y = MARGIN + int(column) * (WIDTH + ACROSS), MARGIN + 22 + int(row) * (HEIGHT + DOWN)
            states[key] = x + WIDTH / 2, y + HEIGHT / 2, name, told
        elif word == "arrow":
            ends, _, label = rest.partition(":")
            start, end = ends.split()
            arrows.append((start, end, label.strip()))
        elif line and not line.startswith("#"):
            raise ValueError(f"this says nothing that can be drawn: {line}")
    width = max(x for x, *_ in states.values()) + WIDTH / 2 + MARGIN
    height = max(y for _, y, *_ in states.values()) + HEIGHT / 2 + MARGIN
    pairs = {(start, end) for start, end, _ in arrows}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img"'
        ' aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title><desc id="description">{escape(description)}</desc>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z"/></marker></defs>',
        *(_box(*state) for state in states.values()),
        *(
            _arrow(states[start][:2], states[end][:2], label, (end, start) in pairs)
            for start, end, label in arrows
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(x: float, y: float, name: str, told: str) -> str:
    left, top = x - WIDTH / 2, y - HEIGHT / 2
    words = told.split()
    # Two lines at most, as even as words allow.
    cut = min(range(1, len(words) + 1), key=lambda n: abs(len(" ".join(words[:n])) - len(told) / 2))
    lines = [told] if len(told) <= 26 else [" ".join(words[:cut]), " ".join(words[cut:])]
    texts = "".join(
        f'<text class="label" x="{x:g}" y="{y + 8 + 16 * nth - 4 * (len(lines) - 1):g}">{escape(line)}</text>'
        for nth, line in enumerate(lines)
    )
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{WIDTH}" height="{HEIGHT}"/>'
        f'<text class="title" x="{x:g}" y="{y - 13:g}">{escape(name)}</text>{texts}'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float], label: str, there_and_back: bool) -> str:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = hypot(dx, dy)
    aside = APART / 2 if there_and_back else 0.0
    ox, oy = -dy / length * aside, dx / length * aside
    # From border to border.
    part = min(WIDTH / 2 / abs(dx) if dx else 1.0, HEIGHT / 2 / abs(dy) if dy else 1.0)
    x1, y1 = start[0] + dx * part + ox, start[1] + dy * part + oy
    x2, y2 = end[0] - dx * part + ox, end[1] - dy * part + oy
    # Beside the line: above a level one, outside of a pair.
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    anchor = "middle"
    if abs(dx) < 1:
        x, y, anchor = x + (8 if ox >= 0 else -8), y + 4, "start" if ox >= 0 else "end"
    elif abs(dy) < 1:
        y -= 8
    else:
        x, y = x + 8 + 30, y + 16
    return (
        f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'
        f'<text class="label" style="text-anchor: {anchor}" x="{x:.1f}" y="{y:.1f}">{escape(label)}</text>'
    )


if __name__ == "__main__":
    sys.stdout.write(drawn((HERE / "live-states.txt").read_text(encoding="utf-8")))
