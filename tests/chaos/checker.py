"""Decides from a history whether the invariants of live timelines held."""

from collections.abc import Callable, Iterable

from tests.chaos.certain import Certain
from tests.chaos.history import History
from tests.chaos.rules_sight import no_ghosts, nothing_leaks, own_writes_are_read, removals_are_told
from tests.chaos.rules_state import (
    answered_is_kept,
    counters_are_true,
    keys_make_one_post,
    nothing_stays_behind,
    recovery_is_quick,
)
from tests.chaos.rules_streams import (
    lists_add_up,
    nothing_comes_twice,
    nothing_is_lost,
    nothing_is_out_of_order,
)
from tests.chaos.violation import Violation

RULES: tuple[Callable[[Certain], Iterable[Violation]], ...] = (
    nothing_is_lost,
    nothing_comes_twice,
    nothing_is_out_of_order,
    lists_add_up,
    no_ghosts,
    removals_are_told,
    nothing_leaks,
    own_writes_are_read,
    counters_are_true,
    keys_make_one_post,
    nothing_stays_behind,
    answered_is_kept,
    recovery_is_quick,
)


def check(history: History) -> list[Violation]:
    """All violations, in the order in which they showed."""
    known = Certain(history)
    found = [violation for rule in RULES for violation in rule(known)]
    return sorted(dict.fromkeys(found), key=lambda one: (one.at, one.invariant, one.what))


def told(history: History, violation: Violation) -> str:
    """A violation with what its client, and the author of its post, did and heard around it."""
    at = violation.at - history.began
    lines = [f"{violation.invariant} at {at:.3f} s: {violation.what}"]
    if faults := history.faults_at(violation.at):
        lines.append(f"  during {', '.join(faults)}")
    if violation.who >= 0:
        lines += [f"  what client {violation.who} did and heard:"]
        lines += [f"    {line}" for line in history.around(violation.who, violation.at)]
    if violation.token:
        lines += [f"  what was done with {violation.token}:"]
        for operation in history.operations():
            if operation.token == violation.token:
                when = f"{operation.at - history.began:9.3f}"
                lines.append(f"    {when}  client {operation.who}: {operation.told()}")
    return "\n".join(lines)
