"""The little of HTTP and of WebSockets (RFC 6455) that the load generator speaks."""

import json
from typing import Any

TEXT, CLOSE, PING = 0x81, 0x88, 0x89
# Longer frames are events of entries; what is shorter is looked at.
SMALL = 400
HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
# The one operation of each socket.
ID = "1"


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole frame. The mask that clients must use is all zeros, which leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        head = bytes((opcode, 0x80 | size))
    elif size < 65_536:
        head = bytes((opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((opcode, 0xFF)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


def message(type: str, payload: Any = None, **more: str) -> bytes:
    """A message of graphql-transport-ws as a frame."""
    body = {"type": type, **more} | ({} if payload is None else {"payload": payload})
    return client_frame(json.dumps(body).encode())


def cursor_in(text: bytes) -> str:
    """The liveCursor of a message, empty when it has none."""
    _, found, rest = text.partition(b'"liveCursor":')
    return rest.lstrip(b' "').partition(b'"')[0].decode() if found else ""
