"""Which web pages may talk to the API: the origins that browsers name."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers

_DEFAULT_PORTS = {"http": 80, "https": 443}
EVERYBODY = "*"


class Origins:
    """The server's own origin, and those of CORS_ORIGINS."""

    def __init__(self, allowed: Sequence[str], public_url: str | None) -> None:
        self._all = EVERYBODY in allowed
        self._allowed = frozenset(origin.lower().rstrip("/") for origin in allowed)
        self._public = None if public_url is None else _place(public_url)

    def allow(self, headers: Headers) -> bool:
        """Whether a request with these headers may be answered. Apps, which name no origin, may ask anything."""
        named = headers.getlist("origin")
        if not named or self._all:
            return True
        if len(named) > 1:
            return False
        origin = named[0].strip().lower()
        if origin in self._allowed:
            return True
        place = _place(origin)
        if place is None:
            return False
        # Behind a proxy it is not known here whether the page came by TLS, so the Host header is read either way.
        scheme = origin.partition(":")[0]
        return place == self._public or place == _place(f"{scheme}://{headers.get('host', '').lower()}")


def _place(url: str) -> tuple[str, int] | None:
    """Host and port of a web address; None for what is none, such as the origin `null`."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or port is None or parts.scheme not in _DEFAULT_PORTS:
        return None
    return parts.hostname, port
