"""Running subscriptions: alone while they catch up, then together with all who ask the same."""

from app.subscriptions.subscription import Sink
from app.subscriptions.subscriptions import Subscriptions

__all__ = ["Sink", "Subscriptions"]
