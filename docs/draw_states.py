"""Draws live-states.svg from live-states.txt: boxes on a grid, frames around some, and arrows along the grid."""

import re
import sys
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
# Pixels: a box, the room between two of them, and around all.
WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 200, 62, 130, 70, 28
# Between a frame and what is in it; its title stands above.
PADDING, TITLE = 18, 22
# A ground of its own: whoever embeds it may be light where the reader's system is dark.
STYLE = """
.ground { fill: #ffffff } .state { fill: #e8f1fb; stroke: #2f6fb0; stroke-width: 1.5 }
.group { fill: none; stroke: #2f6fb0; stroke-width: 1.5; stroke-dasharray: 5 4 }
text { font: 12px system-ui, sans-serif; fill: #44525f; text-anchor: middle }
.title { font-size: 14px; font-weight: 600; fill: #16212c } .start { text-anchor: start }
.arrow { fill: none; stroke: #5c6f82; stroke-width: 1.5; marker-end: url(#head) } .head { fill: #5c6f82 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0f1720 } .state { fill: #17324d; stroke: #6aa7e0 } .group { stroke: #6aa7e0 }
text { fill: #b9c6d3 } .title { fill: #eef3f8 } .arrow { stroke: #9fb0c0 } .head { fill: #9fb0c0 } }
"""
SIDES = {"n": (0, -1), "e": (1, 0), "s": (0, 1), "w": (-1, 0)}
Point = tuple[float, float]


class Box(NamedTuple):
    """A state or a frame: its middle, its size, and what is written on it."""

    x: float
    y: float
    width: float
    height: float
    title: str
    told: str

    def at(self, side: str) -> tuple[Point, bool]:
        """The point of a side such as s-40, and whether arrows leave it upwards or downwards."""
        dx, dy = SIDES[side[0]]
        along = float(side[1:] or 0)
        x = self.x + dx * self.width / 2 + (along if dy else 0)
        y = self.y + dy * self.height / 2 + (along if dx else 0)
        return (x, y), bool(dy)


def drawn(source: str) -> str:
    """The picture. Raises ValueError for a line that says nothing."""
    told = {"title": "", "describe": ""}
    boxes: dict[str, Box] = {}
    frames, states, arrows = [], [], []
    for line in source.splitlines():
        word, _, rest = line.partition(" ")
        if word in told:
            told[word] = escape(rest)
        elif word == "state":
            place, title, text = (part.strip() for part in rest.split(":", 2))
            name, *at = place.split()
            boxes[name] = Box(*_middle(*at), WIDTH, HEIGHT, title, text)
            states.append(_state(boxes[name]))
        elif word == "group":
            place, title = (part.strip() for part in rest.split(":", 1))
            name, *at = place.split()
            boxes[name] = _frame(_middle(*at[:2]), _middle(*at[2:]), title)
            frames.append(_group(boxes[name]))
        elif found := re.fullmatch(r"arrow (\w+)\.([nesw]\S*) (\w+)\.([nesw]\S*): (.*)", line):
            start, leaves, end, arrives, label = found.groups()
            arrows.append(_arrow(*boxes[start].at(leaves), *boxes[end].at(arrives), label))
        elif line and not line.startswith("#"):
            raise ValueError(f"this says nothing that can be drawn: {line}")
    width = max(box.x + box.width / 2 for box in boxes.values()) + MARGIN
    height = max(box.y + box.height / 2 for box in boxes.values()) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" role="img" aria-labelledby="title description">',
        f'<title id="title">{told["title"]}</title>',
        f'<desc id="description">{told["describe"]}</desc>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect class="ground" width="{width:g}" height="{height:g}" rx="12"/>',
        *frames,
        *states,
        *arrows,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _middle(column: str, row: str) -> Point:
    """Where a box stands."""
    x = MARGIN + WIDTH / 2 + float(column) * (WIDTH + ACROSS)
    y = MARGIN + HEIGHT / 2 + float(row) * (HEIGHT + DOWN)
    return x, y


def _frame(first: Point, last: Point, title: str) -> Box:
    (left, top), (right, bottom) = first, last
    width, height = right - left + WIDTH + 2 * PADDING, bottom - top + HEIGHT + 2 * PADDING + TITLE
    return Box((left + right) / 2, (top + bottom - TITLE) / 2, width, height, title, "")


def _rect(box: Box, kind: str) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return f'<rect class="{kind}" x="{left:g}" y="{top:g}" width="{box.width:g}" height="{box.height:g}" rx="10"/>'


def _state(box: Box) -> str:
    return (
        f"{_rect(box, 'state')}"
        f'<text class="title" x="{box.x:g}" y="{box.y - 5:g}">{escape(box.title)}</text>'
        f'<text x="{box.x:g}" y="{box.y + 16:g}">{escape(box.told)}</text>'
    )


def _group(box: Box) -> str:
    x, y = box.x - box.width / 2 + PADDING, box.y - box.height / 2 + PADDING + 6
    return f'{_rect(box, "group")}<text class="title start" x="{x:g}" y="{y:g}">{escape(box.title)}</text>'


def _arrow(start: Point, upright: bool, end: Point, ends_upright: bool, label: str) -> str:
    """A line with corners where it needs them, and its label at its longest part."""
    (x1, y1), (x2, y2) = start, end
    if upright and ends_upright:
        corners = [(x1, (y1 + y2) / 2), (x2, (y1 + y2) / 2)] if x1 != x2 else []
    elif upright or ends_upright:
        corners = [(x1, y2) if upright else (x2, y1)]
    else:
        corners = [((x1 + x2) / 2, y1), ((x1 + x2) / 2, y2)] if y1 != y2 else []
    points = [start, *corners, end]
    (ax, ay), (bx, by) = max(
        pairwise(points),
        key=lambda part: abs(part[0][0] - part[1][0]) + abs(part[0][1] - part[1][1]),
    )
    level = ay == by
    x, y = (ax + bx) / 2 + (0 if level else 7), (ay + by) / 2 + (-7 if level else 4)
    line = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    kind = "" if level else ' class="start"'
    return f'<path class="arrow" d="{line}"/><text{kind} x="{x:g}" y="{y:g}">{escape(label)}</text>'


if __name__ == "__main__":
    sys.stdout.write(drawn((HERE / "live-states.txt").read_text(encoding="utf-8")))
