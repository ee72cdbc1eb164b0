"""A demo network for an empty database: people, their ties, and what they wrote in the last 90 days."""

from app.seed.filling import DEMO_PASSWORD, SeedRefused, SeedReport, run
from app.seed.people import DEMO_HANDLES

__all__ = ["DEMO_HANDLES", "DEMO_PASSWORD", "SeedRefused", "SeedReport", "run"]
