"""The client of docs/examples/timeline.py: it keeps a timeline until a post says that it is the end."""

import asyncio
import importlib.util
import json
import sys
from typing import Any

given = json.loads(sys.argv[1])
spec = importlib.util.spec_from_file_location("timeline", f"{given['examples']}/timeline.py")
assert spec is not None
assert spec.loader is not None
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)


async def token() -> str:
    """The access token."""
    return str(given["bob"]["token"])


async def main() -> list[Any]:
    """What it shows in the end."""
    changed = asyncio.Event()
    url = given["url"].replace("http", "ws") + "/graphql"
    timeline = example.HomeTimeline(url, token, changed=changed.set)
    running = asyncio.create_task(timeline.run())
    while all(edge["node"]["post"]["text"] != "the end" for edge in timeline.edges):
        await changed.wait()
        changed.clear()
    running.cancel()
    nodes = [edge["node"] for edge in timeline.edges]
    return [
        [
            node["id"],
            node["post"]["text"],
            node["post"]["likeCount"],
            (node["repostedBy"] or {}).get("handle"),
        ]
        for node in nodes
    ]


print(json.dumps(asyncio.run(main())))
