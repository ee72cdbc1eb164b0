"""What REDIS_URL may say: one server, `redis://host:6379/0`, or nodes of a cluster, `redis+cluster://host1:6379,host2:6379`.

The scheme alone tells which of the two it is, so the setting cannot contradict itself.
"""

import re
from urllib.parse import urlsplit

SINGLE = ("redis://", "rediss://", "unix://")
CLUSTER = ("redis+cluster://", "rediss+cluster://")


def is_cluster(url: str) -> bool:
    """Whether the address is that of a cluster."""
    return url.startswith(CLUSTER)


def seeds(url: str) -> list[str]:
    """The nodes that a cluster's address names, each as the address of one server."""
    scheme, _, rest = url.partition("://")
    login, at, places = rest.rpartition("@")
    hosts, *query = re.split(r"/?\?|/", places, maxsplit=1)
    tail = f"?{query[0]}" if query and "?" in places else ""
    return [f"{scheme.removesuffix('+cluster')}://{login}{at}{host}{tail}" for host in hosts.split(",")]


def check(url: str) -> str:
    """The same address. Raises ValueError, saying what is wrong with it."""
    if not url.startswith(SINGLE + CLUSTER):
        raise ValueError(
            "it must start with redis://, rediss:// or unix://, or redis+cluster:// for a cluster"
        )
    if is_cluster(url):
        if urlsplit(url).path.strip("/") not in ("", "0"):
            raise ValueError("a cluster has no databases; leave out what follows the nodes")
        if not all(_is_node(seed) for seed in seeds(url)):
            raise ValueError("name nodes with commas between them: redis+cluster://host1:6379,host2:6379")
    return url


def _is_node(seed: str) -> bool:
    try:
        parts = urlsplit(seed)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        # The port is no number; said without quoting it, as it may be part of a password.
        return False
