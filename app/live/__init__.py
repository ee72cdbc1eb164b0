"""Live delivery: the bus (Valkey), the sequencer that numbers events, and the hub that hands them out."""

from app.live.hub import LiveHub

__all__ = ["LiveHub"]
