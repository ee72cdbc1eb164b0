"""Many cases of the oracle, until the executors differ.

`python -m tests.execution.campaign --cases 100000 --seed 1`; the last line is a JSON object.
"""

import argparse
import asyncio
import gc
import json
import secrets
import sys
import time
import warnings

from tests.execution.cases import problems, report, toy_case
from tests.execution.shrinking import smaller
from tests.execution.strawberry_toys import strawberry_case

# Garbage of graphql-core's abandoned coroutines is swept this often.
SWEEP = 500


async def campaign(cases: int, seed: int) -> dict[str, object]:
    """Run the cases; what came of it."""
    begun = time.monotonic()
    for number in range(cases):
        make = strawberry_case if number % 4 == 3 else toy_case
        case = make(seed * 1_000_000_007 + number)
        found = await problems(case)
        if found:
            print(f"seed {seed}, case {number}: {found}")
            print(await report(await smaller(case, problems)))
            return {"cases": number + 1, "seed": seed, "different": 1, "label": case.label, "found": found}
        if number % SWEEP == 0:
            gc.collect()
        if number % 10_000 == 9_999:
            print(f"{number + 1} cases, {time.monotonic() - begun:.0f} s", flush=True)
    return {"cases": cases, "seed": seed, "different": 0, "seconds": round(time.monotonic() - begun, 1)}


def main() -> int:
    """Run a campaign as the command line says; 1 when the executors differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    warnings.simplefilter("ignore")
    gc.freeze()
    outcome = asyncio.run(campaign(given.cases, seed))
    print(json.dumps(outcome))
    return 1 if outcome["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
