"""Which URLs and addresses may be dialled, and that no door reads a host in another way than the guard."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yarl

from governor.adapters.anchor_git import GitAnchor
from governor.adapters.anchor_wire import exchange
from governor.adapters.endpoint_guard import check_url, refusal
from governor.adapters.model_endpoint import HttpModelEndpoint
from governor.adapters.source_door import HttpSourceDoor
from governor.adapters.webhook import Webhook
from governor.errors import Invalid, Refused
from governor.ledger.anchor import AnchorConfig
from governor.ports import Notice, SourceRequest


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "0.0.0.0", "224.0.0.1", "fd00:ec2::254", "240.0.0.1"],  # noqa: S104 - a target that must be refused
)
def test_metadata_and_odd_addresses_are_refused_always(address: str, private: bool) -> None:
    assert refusal(address, allow_private=private)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.0.5", "::1", "::ffff:10.0.0.1", "fd12::1", "fec0::1", "100.64.0.1", "2002:7f00:1::"]
)
def test_private_addresses_need_to_be_allowed(address: str) -> None:
    assert refusal(address, allow_private=False)
    assert not refusal(address, allow_private=True)


def test_plain_http_stays_at_home() -> None:
    assert refusal("8.8.8.8", allow_private=True, encrypted=False)
    assert not refusal("8.8.8.8", allow_private=False)


@pytest.mark.parametrize("url", ["https://127.0.0.1/v1", "https://[::1]/v1", "https://169.254.169.254/v1", "http://gateway.example/v1"])
def test_a_forbidden_url_is_refused_before_any_call(url: str) -> None:
    with pytest.raises(Refused):
        check_url(url, allow_private=False)


HOSTILE = {
    "unicode dots": "169。254。169。254",
    "half-width dots": "127｡0｡0｡1",
    "full-width dots": "127．0．0．1",
    "full-width digits": "１２７.0.0.1",
    "circled digits": "①②⑦.0.0.1",
    "other digits": "١٢٧.0.0.1",
    "circled letters": "ⓛocalhost",
    "soft hyphen": "local\xadhost",
    "percent": "%31%32%37.0.0.1",
    "decimal": "2130706433",
    "hex": "0x7f000001",
    "upper-case hex": "0X7F.0X0.0X0.0X1",
    "hex and short": "0x7f.1",
    "octal": "0177.0.0.1",
    "short": "127.1",
    "zero": "0",
    "empty hex": "0x",
    "trailing dot": "127.0.0.1.",
    "two trailing dots": "127.0.0.1..",
    "five parts": "1.127.0.0.1",
    "user": "user@169.254.169.254",
    "empty user": "@169.254.169.254",
    "backslash": "good.example\\@169.254.169.254",
    "backslash in a host": "169.254.169.254\\.good.example",
    "tab": "169.254\t.169.254",
    "line end": "169.254.169.254\r\nX-Y: z",
    "blank": "169.254.169.254 ",
    "zone": "[fe80::1%25eth0]",
    "zone of loopback": "[::1%25lo]",
    "bare zone": "[::1%lo]",
    "mapped": "[::ffff:169.254.169.254]",
    "mapped in hex": "[::FFFF:A9FE:A9FE]",
    "compatible": "[::169.254.169.254]",
    "translated": "[::ffff:0:169.254.169.254]",
    "6to4": "[2002:a9fe:a9fe::]",
    "NAT64": "[64:ff9b::a9fe:a9fe]",
    "local NAT64": "[64:ff9b:1::a9fe:a9fe]",
    "future": "[v1.169.254.169.254]",
    "no address": "[12345::]",
}


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("host", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_spelling_of_a_host_is_refused_at_every_door(host: str, private: bool, tmp_path: Path) -> None:
    """Each door by itself: nothing is dialled, whether private endpoints are allowed or not."""
    url = f"https://{host}:18099/x"
    doors: dict[str, Callable[[], object]] = {
        "guard": lambda: check_url(url, allow_private=private),
        "model": lambda: HttpModelEndpoint("openai", url, allow_private=private),
        "webhook": lambda: Webhook(url, "env:NONE", allow_private=private).send(Notice("n", "e", datetime.now(UTC), "t", "x", "")),
        "source": lambda: _asked(url, private),
        "anchor": lambda: exchange("GET", url, anchor="a", allow_private=private),
        # as no settings would have it, which refuse a user
        "git": lambda: GitAnchor(
            AnchorConfig.model_construct(name="g", kind="git", target=url), "o/x", copy=tmp_path / "c", allow_private=private
        ),
    }
    for name, door in doors.items():
        with pytest.raises((Invalid, Refused)):
            pytest.fail(f"the {name} door let it pass: {door()!r}")


def _asked(url: str, private: bool) -> object:
    with HttpSourceDoor(allow_private=private, sleep=lambda _: None) as door:
        return door.ask(SourceRequest(url, headers={"Authorization": "k"}))


@pytest.mark.parametrize(
    "host", ["Gateway.Example", "xn--bcher-kva.example", "my_gateway", "a-1.example.", "8.8.8.8", "[2606:4700::1111]", "1.example"]
)
def test_what_is_judged_is_what_the_client_dials(host: str) -> None:
    check_url(f"https://{host}/v1", allow_private=False)
    assert yarl.URL(f"https://{host}/v1").raw_host == host.strip("[]").lower()


@pytest.mark.parametrize(
    "url", ["ftp://x/v1", "https://user:pw@x/v1", "https:///v1", "https://x/v1?key=1", "https://[x/v1", "https://x:y/v1"]
)
def test_a_malformed_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_url(url, allow_private=True)
    assert "pw" not in str(caught.value)
