"""How far back the window of a large home timeline must reach to fill a page.

A timeline of many accounts is read one time window at a time (decision 0002). The first guess comes from
how busy the server is, later ones from what the viewer's last page showed. A wrong guess costs a second statement.
"""

from collections import OrderedDict
from datetime import timedelta

from dataloaders.rows import id_span

# Before anything is known: a quiet server. Windows grow quickly from there.
FIRST_SPAN = id_span(timedelta(hours=6))
WIDEST_SPAN = id_span(timedelta(days=365 * 100))
NARROWEST_SPAN = id_span(timedelta(seconds=1))
# Reading somewhat too much is cheaper than reading twice.
MARGIN = 2.0
# About 100 bytes each.
REMEMBERED = 20_000


class Pace:
    """Remembers for each viewer which span of ids held one entry; the least recently seen are forgotten."""

    def __init__(self) -> None:
        self._spans: OrderedDict[int, float] = OrderedDict()

    def span(self, viewer_id: int, wanted: int) -> int:
        """The span of ids that probably holds `wanted` entries."""
        known = self._spans.get(viewer_id)
        if known is None:
            return FIRST_SPAN
        self._spans.move_to_end(viewer_id)
        return int(min(max(known * wanted * MARGIN, NARROWEST_SPAN), WIDEST_SPAN))

    def learn(self, viewer_id: int, span: int, found: int) -> None:
        """A span of ids held so many entries."""
        self._spans[viewer_id] = span / max(found, 0.5)
        self._spans.move_to_end(viewer_id)
        if len(self._spans) > REMEMBERED:
            self._spans.popitem(last=False)


def wider(span: int, found: int, wanted: int) -> int:
    """The next window after one that held too little."""
    growth = min(max(MARGIN * wanted / found, 4), 64) if found else 64
    return int(min(span * growth, WIDEST_SPAN))
