"""Where a replay may connect to: nobody may point an endpoint at our own network or a cloud's metadata address.

Owns: the check of URL and of every resolved address. Does not own: the call. Invariants: the address that was checked is the one that is dialled, so a
name that resolves differently the second time gains nothing; link-local, metadata, multicast and unspecified addresses are refused even where private
endpoints are allowed; plain http only to private addresses that are allowed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from governor.errors import Invalid, Refused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
)
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that a gateway or kernel would unwrap."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def refusal(text: str, *, allow_private: bool, encrypted: bool = True) -> str:
    """Why this address may not be dialled; empty when it may."""
    address = unwrapped(ipaddress.ip_address(text.partition("%")[0]))
    if address in METADATA:
        return "it is a cloud metadata address"
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "it is a link-local, multicast or unspecified address"
    if address.is_global and not address.is_reserved:
        return "" if encrypted else "plain http would send content unencrypted over the internet"
    if address.is_reserved and not address.is_loopback:
        return "it is a reserved address"
    return (
        ""
        if allow_private
        else "it is a loopback or private address; set GOVERNOR_ALLOW_PRIVATE_ENDPOINTS=true for a gateway inside your network"
    )


def check_url(url: str, *, allow_private: bool) -> None:
    """Raise Invalid for a URL that is none, Refused for one that may not be called. Names are checked again when they are resolved."""
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if parts.scheme not in {"http", "https"} or not host:
        raise Invalid(f"endpoint {parts.scheme or 'without scheme'}://{parts.hostname or ''}: an http(s) URL with a host is needed")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Invalid(f"endpoint at {host}: no user, password, query or fragment in the URL; keys go into `secret`")
    if parts.scheme == "http" and not allow_private:
        raise Refused(
            f"endpoint {host} is plain http", hint="use https, or GOVERNOR_ALLOW_PRIVATE_ENDPOINTS=true for a gateway inside your network"
        )
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    why = refusal(host, allow_private=allow_private, encrypted=parts.scheme == "https")
    if why:
        raise Refused(f"endpoint address {host} is refused: {why}")


class GuardedResolver(AbstractResolver):
    """Resolves a name and answers only when every one of its addresses may be dialled."""

    def __init__(self, *, allow_private: bool, encrypted: bool) -> None:
        self._allow_private, self._encrypted = allow_private, encrypted

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        results: list[ResolveResult] = []
        for one_family, _, protocol, _, where in found:
            address = str(where[0])
            why = refusal(address, allow_private=self._allow_private, encrypted=self._encrypted)
            if why:
                raise OSError(f"{host} is refused: {why}")
            results.append(
                {"hostname": host, "host": address, "port": port, "family": one_family, "proto": protocol, "flags": socket.AI_NUMERICHOST}
            )
        return results

    async def close(self) -> None:
        return
