"""Where a replay may connect to: nobody may point an endpoint at our own network or a cloud's metadata address.

Owns: the check of URL and of every resolved address. Does not own: the call. Invariants: the address that was checked is the one that is dialled, so a
name that resolves differently the second time gains nothing; a host has one spelling only, so that what is judged here is what a client makes of it
(clients turn other digits and dots into an address without resolving anything); link-local, metadata, multicast and unspecified addresses are refused even where private
endpoints are allowed; plain http only to private addresses that are allowed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
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
PLAIN: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", re.ASCII)
NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)  # as the last label it makes the host an address to some client
CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")  # some parsers drop them


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
    # fec0::/10, private before fc00::/7 was: Python calls it global
    inside = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    if address.is_global and not address.is_reserved and not inside:
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
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid("endpoint: an http(s) URL with a host is needed") from None
    if parts.scheme not in {"http", "https"} or not host or CONTROLS.search(url):
        raise Invalid(f"endpoint {parts.scheme or 'without scheme'}://{host or ''}: an http(s) URL with a host is needed")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise Invalid(f"endpoint at {host}: no user, password, query or fragment in the URL; keys go into `secret`")
    if parts.scheme == "http" and not allow_private:
        raise Refused(
            f"endpoint {host} is plain http", hint="use https, or GOVERNOR_ALLOW_PRIVATE_ENDPOINTS=true for a gateway inside your network"
        )
    why = refusal(host, allow_private=allow_private, encrypted=parts.scheme == "https") if is_address(host) else ""
    if why:
        raise Refused(f"endpoint address {host} is refused: {why}")


def is_address(host: str) -> bool:
    """Whether the host of a URL is an IP address, and no name. Raises Refused for one that a client might read as something else."""
    if not PLAIN.fullmatch(host):
        raise Refused(
            f"endpoint host {host!r} is refused: it is not written in plain letters, digits, dots and hyphens",
            hint="write an international name in its ASCII form (xn--...), an address without a zone",
        )
    if ":" not in host and not NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise Refused(
            f"endpoint host {host} is refused: it is an IP address in an unusual spelling", hint="write it as 192.0.2.1 or [2001:db8::1]"
        ) from None
    return True


def guarded_addresses(host: str, *, allow_private: bool, encrypted: bool) -> list[str]:
    """Every address of a name, for a client that cannot use GuardedResolver. Raises Refused when one may not be dialled, OSError for an unknown name."""
    found = list(dict.fromkeys(str(where[0]) for *_, where in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))
    for address in found:
        why = refusal(address, allow_private=allow_private, encrypted=encrypted)
        if why:
            raise Refused(f"{host} is refused: {why}")
    return found


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
