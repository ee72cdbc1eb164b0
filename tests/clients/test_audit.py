"""The audit of npm graphql-http, which checks a server against the GraphQL over HTTP specification."""

import pytest

from tests.clients.conftest import Play
from tests.conftest import Server

pytestmark = pytest.mark.clients


async def test_all_audits_are_ok(node: Play, server: Server) -> None:
    results = await node("audit.mjs", "audit", url=server.url)
    wrong = [
        f"{one['status']} {one['id']} {one['name']}: {one['reason']}"
        for one in results
        if one["status"] != "ok"
    ]
    assert not wrong, "\n".join(wrong)
    # As many as this version of the suite has: none was left out.
    assert len(results) == 61
