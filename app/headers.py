"""A request's headers, looked up often."""

from typing import TypeVar, overload

from starlette.datastructures import Headers
from starlette.types import Scope

Default = TypeVar("Default")


class RequestHeaders(Headers):
    """Starlette's, which goes through all of them at each look-up, with an index of their first values."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        # The first of several of a name counts, as there; ASGI has the names in lower case.
        self._first: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])
        }

    def __getitem__(self, key: str) -> str:
        return self._first[key.lower()]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._first

    @overload
    def get(self, key: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, key: str, default: str | Default, /) -> str | Default: ...
    def get(self, key: str, default: object = None, /) -> object:
        """The first value of the name in any case, or the default."""
        return self._first.get(key.lower(), default)
