"""What Prometheus reads. With several workers, each writes to a shared folder and any of them answers for all."""

import os
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client import REGISTRY as DEFAULT_REGISTRY

OPERATIONS = Counter(
    "maydan_operations_total",
    "GraphQL operations by kind and outcome (ok, refused, error).",
    ["kind", "outcome"],
)
DURATION = Histogram(
    "maydan_operation_seconds",
    "Time from a parsed request to its result, by kind.",
    ["kind"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
STATEMENTS = Counter("maydan_sql_statements_total", "SQL statements sent by operations.")
EVENTS = Counter("maydan_live_events_total", "Live events sent to clients.")
SOCKETS = Gauge("maydan_websockets", "Open WebSocket connections.", multiprocess_mode="livesum")
EVENT_STREAMS = Gauge(
    "maydan_event_streams", "Open answers by server-sent events.", multiprocess_mode="livesum"
)
STREAMS = Gauge("maydan_live_streams", "Running subscriptions.", multiprocess_mode="livesum")
TASKS = Gauge(
    "maydan_tasks",
    "Running tasks of a worker when it was last asked for its numbers.",
    multiprocess_mode="livesum",
)
BUS_UP = Gauge("maydan_bus_up", "Whether Valkey answers, 1 or 0.", multiprocess_mode="livemin")
LOG_SEEN = Gauge(
    "maydan_log_seen", "The number of the newest event read from the log.", multiprocess_mode="livemax"
)
SEQUENCING = Gauge(
    "maydan_sequencer_leads", "Whether a worker here numbers the log.", multiprocess_mode="livesum"
)


# Looking a labelled metric up costs more than counting.
operations = cache(OPERATIONS.labels)
duration = cache(DURATION.labels)


def render() -> tuple[bytes, str]:
    """The metrics and their content type."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
    else:
        registry = DEFAULT_REGISTRY
    return generate_latest(registry), CONTENT_TYPE_LATEST
