"""Whose request it is, when proxies stand in between: the address that limits are counted by."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# A household or a rented server gets a /64 at least, so one of its addresses says nothing.
_IPV6_PREFIX = 64
_UNKNOWN = "unknown"
# With a port, as some proxies write it: 192.0.2.1:1234, [2001:db8::1]:1234, [2001:db8::1].
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
# More proxies than anybody chains. What is further left stays one unreadable entry.
_MOST_HOPS = 16
# The longest text of an address with a port in brackets; a longer entry is none.
_LONGEST_ENTRY = 60


def client_address(peer: str | None, forwarded_for: list[str], trusted: Sequence[Network]) -> str:
    """The nearest address that is no trusted proxy's, in its shortest form.

    `peer` is the other end of the connection, `forwarded_for` the X-Forwarded-For headers in order. Each
    proxy appends whom it was called by, so the list is read from its right end, and only as long as who wrote
    an entry is trusted: whatever a client wrote itself lies further left. An unreadable entry ends it too.
    """
    if peer is None:
        return _UNKNOWN
    nearest = _parsed(peer)
    if nearest is None:
        return peer
    entries = ",".join(forwarded_for).rsplit(",", _MOST_HOPS) if forwarded_for and trusted else []
    while entries and _is_trusted(nearest, trusted):
        further = _parsed(entries.pop())
        if further is None:
            break
        nearest = further
    return str(nearest)


def rate_key(address: str) -> str:
    """What attempts are counted by: an IPv4 address, an IPv6 /64, or the text as it is."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, _IPV6_PREFIX), strict=False))
    return address if parsed is None else str(parsed)


def _parsed(text: str) -> Address | None:
    """An address, without port and zone; IPv4 also where it is written as IPv6 (sockets for both do so)."""
    text = text.strip().strip('"')
    if len(text) > _LONGEST_ENTRY:
        return None
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
