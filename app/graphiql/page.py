"""The HTML page and the headers that lock it down."""

import json
import re
import secrets
from pathlib import Path
from string import Template

from app.graphiql.bundle import bundle
from app.graphiql.examples import examples

TEMPLATE = Path(__file__).parent / "page.html"

PLAIN_HOST = re.compile(r"[A-Za-z0-9.\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def render_page(*, root: str, graphql_path: str, demo: bool, nonce: str) -> str:
    """The page; `root` is the path the application is mounted under, usually empty."""
    settings = {
        "graphqlPath": root + graphql_path,
        "demoPath": f"{root}/graphiql/demo-session" if demo else None,
        "examples": [{"query": each.query, "variables": each.variables} for each in examples()],
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        assets=f"{root}/graphiql/assets/{bundle().version}",
        nonce=nonce,
        # Inside a script element only "<" can end the JSON early.
        settings=json.dumps(settings, ensure_ascii=False).replace("<", "\\u003c"),
    )


def new_nonce() -> str:
    """A fresh one for every response."""
    return secrets.token_urlsafe(16)


def page_headers(*, host: str, nonce: str) -> dict[str, str]:
    """Only this origin's scripts, styles and connections; nobody may frame the page."""
    # Older Safari does not count ws: as 'self', so the socket's origin is named too.
    sockets = f" ws://{host} wss://{host}" if PLAIN_HOST.fullmatch(host) else ""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        # The nonce is for the one <style> element with which GraphiQL's dialogs stop the page from scrolling.
        "style-src": f"'self' 'nonce-{nonce}'",
        "img-src": "'self' data:",
        "font-src": "data:",  # GraphiQL's fonts are inside its style sheet
        "connect-src": "'self'" + sockets,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }
