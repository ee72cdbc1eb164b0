"""Whose address counts, whatever a client writes into headers."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.addresses import client_address, rate_key

NOBODY: Sequence[IPv4Network | IPv6Network] = []
PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.1/32")]
CLIENT = "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        (CLIENT, [], CLIENT),
        (CLIENT, ["198.51.100.1"], CLIENT),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [CLIENT], CLIENT),
        ("10.0.0.1", [f"198.51.100.1, {CLIENT}"], CLIENT),
        ("10.0.0.1", ["198.51.100.1", CLIENT], CLIENT),
        ("10.0.0.1", [f"198.51.100.1,{CLIENT},10.0.0.2", "fd00::1"], CLIENT),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [f"{CLIENT}:1234"], CLIENT),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ['"2001:DB8:0::1"'], "2001:db8::1"),
        ("10.0.0.1", [f"::ffff:{CLIENT}"], CLIENT),
        ("::ffff:10.0.0.1", [CLIENT], CLIENT),
        ("fd00::1%eth0", [CLIENT], CLIENT),
        ("10.0.0.1", [f"{CLIENT}, unknown"], "10.0.0.1"),
        ("10.0.0.1", [f"{CLIENT}, garbage, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [f"{CLIENT}, "], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [CLIENT, "x" * 100_000], "10.0.0.1"),
        ("10.0.0.1", [", ".join([CLIENT] + ["10.0.0.2"] * 50)], "10.0.0.2"),
        ("10.0.0.1", ["999.1.1.1"], "10.0.0.1"),
        ("10.0.0.1", ["\ud800, é"], "10.0.0.1"),
        ("testclient", [CLIENT], "testclient"),
        (None, [CLIENT], "unknown"),
    ],
)
def test_the_nearest_address_that_is_no_proxy(peer: str | None, headers: list[str], address: str) -> None:
    assert client_address(peer, headers, PROXIES) == address


def test_headers_say_nothing_where_no_proxy_is_trusted() -> None:
    assert client_address("10.0.0.1", [CLIENT], NOBODY) == "10.0.0.1"


@given(st.lists(st.text(st.sampled_from('0123456789abcdef.:,[]% "x\ud800'), max_size=60), max_size=5))
def test_what_a_client_writes_itself_never_counts(written: list[str]) -> None:
    assert client_address("10.0.0.1", [*written, CLIENT], PROXIES) == CLIENT
    assert client_address(CLIENT, written, PROXIES) == CLIENT


@pytest.mark.parametrize(
    ("address", "key"),
    [
        (CLIENT, CLIENT),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        (f"::ffff:{CLIENT}", CLIENT),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_limits_count_by_ipv4_address_and_ipv6_network(address: str, key: str) -> None:
    assert rate_key(address) == key
