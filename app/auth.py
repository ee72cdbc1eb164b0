"""Who asks: the viewer behind a token, and the client's address and language."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.datastructures import Headers

from app.addresses import Network, client_address, rate_key
from app.tokens import AccessClaims, AccessTokens, InvalidToken
from dataloaders.database import Database
from resolvers.context import Context, Services, Viewer
from resolvers.messages import best_language


class BadToken(Exception):
    """A token was sent that is not, or no longer, valid: refused, never treated as anonymous."""


@dataclass(frozen=True, slots=True)
class Door:
    """Makes the context of an operation from what came in with it."""

    database: Database
    services: Services
    tokens: AccessTokens
    is_revoked: Callable[[int], bool]
    trusted_proxies: Sequence[Network]

    def viewer(self, authorization: str | None) -> Viewer | None:
        """The viewer of an Authorization value, None when there is none. Raises BadToken."""
        claims = self.claims(authorization)
        return None if claims is None else Viewer(claims.user_id, claims.session_id)

    def claims(self, authorization: str | None) -> AccessClaims | None:
        """What the token of an Authorization value says, None when there is none. Raises BadToken."""
        if authorization is None:
            return None
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise BadToken("Send the access token as 'Authorization: Bearer …'.")
        try:
            claims = self.tokens.verify(token.strip())
        except InvalidToken as error:
            raise BadToken(
                "The access token is not, or no longer, valid: refresh the session or sign in again."
            ) from error
        if self.is_revoked(claims.session_id):
            raise BadToken("The session of this access token is over: sign in again.")
        return claims

    def context(self, viewer: Viewer | None, headers: Headers, peer: str | None) -> Context:
        """A fresh context for one operation."""
        return Context(
            db=self.database.session(),
            viewer=viewer,
            services=self.services,
            language=best_language(headers.get("accept-language")),
            find_address=partial(self.address, headers, peer),
        )

    def address(self, headers: Headers, peer: str | None) -> str:
        """What stands for the client in limits."""
        return rate_key(client_address(peer, headers.getlist("x-forwarded-for"), self.trusted_proxies))
