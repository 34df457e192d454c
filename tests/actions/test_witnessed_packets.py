"""Packets carry what witnesses said of their checkpoint, and a trust file that asks for witnesses is answered by it; a witness replaces its keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from governor.actions.anchors import compare_anchor, publish_all
from governor.actions.cosign import add_checkpoint
from governor.actions.decide import approve
from governor.actions.export_packet import export_packet
from governor.actions.export_period import export_period
from governor.actions.export_trust import export_trust
from governor.adapters import anchor_witness
from governor.adapters.anchor_wire import Answer
from governor.errors import Refused
from governor.ledger.anchor import AnchorConfig
from governor.ledger.note import vkey
from governor.packets import standalone_verifier
from governor.packets.verify import verify_packet
from governor.store.witness import WitnessFolder


class Network:
    """Witness processes by host name, answered in this process."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}
        self.showing = False

    def exchange(self, method: str, url: str, *, body: bytes = b"", **_: object) -> Answer:
        host = url.removeprefix("https://").partition("/")[0]
        if host not in self.folders:
            raise Refused(f"{host} is away")
        if method == "GET":
            shown = [seen.note.encode() for seen in WitnessFolder(self.folders[host]).newest().values()] if self.showing else []
            return Answer(200, shown[0]) if shown else Answer(404, b"")
        reply = add_checkpoint(WitnessFolder(self.folders[host]), body, 1_795_000_000)
        return Answer(reply.status, reply.body.encode())


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network()
    monkeypatch.setattr(anchor_witness, "exchange", made.exchange)
    return made


def watched(world: Any, tmp_path: Path, network: Network, *names: str) -> dict[str, WitnessFolder]:
    folders = {name: WitnessFolder.make(tmp_path / name, f"{name}.example") for name in names}
    for name, folder in folders.items():
        folder.add_log(vkey(world.ctx.keys.origin(world.ctx.org), world.ctx.keys.log_signer().public_key))
        network.folders[f"{name}.example"] = tmp_path / name
    configure(
        world,
        [AnchorConfig(name=name, kind="witness", target=f"https://{name}.example", key=one.vkeys[0]) for name, one in folders.items()],
    )
    return folders


def configure(world: Any, anchors: Sequence[AnchorConfig]) -> None:
    world.ctx.settings = world.ctx.settings.model_copy(update={"anchors": tuple(anchors)})


def decided(world: Any) -> str:
    change = world.reviewed()
    for name in ("dana", "sol"):
        approve(world.ctx, world.person(name), change["id"], digest=change["digest"], reason="evidence read")
        world.later(minutes=5)
    return str(change["id"])


def codes(packet: bytes, trust: str) -> set[int]:
    program = standalone_verifier.verify(packet, standalone_verifier.Trust(trust.encode()))
    return {verify_packet(packet, trust).exit_code, standalone_verifier.result_of(program[1])}


def test_a_quorum_is_met_by_what_the_packet_carries(world: Any, tmp_path: Path, network: Network) -> None:
    watched(world, tmp_path, network, "audit", "bank")
    change = decided(world)
    packet, period = export_packet(world.ctx, world.person("ada"), change), export_period(world.ctx, world.person("ada"), "2026-11")
    trust = export_trust(world.ctx)
    both = trust.replace("quorum none", "group both all audit bank\nquorum both")
    for one in (packet, period):
        assert codes(one, both) == codes(one, trust) == {0}
        assert "witnesses 2 of 2" in verify_packet(one, both).text()
    assert export_packet(world.ctx, world.person("ada"), change) == packet


def test_a_witness_that_is_away_keeps_no_packet_back(world: Any, tmp_path: Path, network: Network) -> None:
    watched(world, tmp_path, network, "audit", "bank")
    away = network.folders.pop("bank.example")
    change = decided(world)
    packet, trust = export_packet(world.ctx, world.person("ada"), change), export_trust(world.ctx)
    both = trust.replace("quorum none", "group both all audit bank\nquorum both")
    assert codes(packet, trust.replace("quorum none", "quorum audit")) == {0}
    assert codes(packet, both) == {2}
    network.folders["bank.example"] = away
    assert codes(export_packet(world.ctx, world.person("ada"), change), both) == {0}


def test_a_witness_replaces_its_keys_within_tree_sizes(world: Any, tmp_path: Path, network: Network) -> None:
    folders = watched(world, tmp_path, network, "audit")
    old = folders["audit"].vkeys[0]
    before = export_packet(world.ctx, world.person("ada"), decided(world))
    folders["audit"].rotate()
    with pytest.raises(Refused, match="under way"):
        WitnessFolder(tmp_path / "audit").rotate()
    assert publish_all(world.ctx)[0]["ok"], "both keys cosign until the operator knows the new one"
    [seen] = WitnessFolder(tmp_path / "audit").newest().values()
    new = WitnessFolder(tmp_path / "audit").vkeys[0]
    assert new != old
    config = world.ctx.settings.anchors[0]
    configure(world, [AnchorConfig(**{**config.model_dump(), "key": new, "earlier": (f"{old} 0..{seen.size}",)})])
    WitnessFolder(tmp_path / "audit").retire()
    world.later(minutes=5)
    after = export_period(world.ctx, world.person("ada"), "2026-11")
    trust = export_trust(world.ctx).replace("quorum none", "quorum audit")
    assert "group audit any audit.1 audit.2" in trust
    assert codes(before, trust) == codes(after, trust) == {0}
    ended = trust.replace(f" 0..{seen.size}", " 0..1")
    assert (codes(before, ended), codes(after, ended)) == ({2}, {0}), "a key revoked from an earlier size on"


def test_what_a_witness_cosigned_with_a_replaced_key_still_compares(world: Any, tmp_path: Path, network: Network) -> None:
    folders, network.showing = watched(world, tmp_path, network, "audit"), True
    assert publish_all(world.ctx)[0]["ok"]
    old, config = folders["audit"].vkeys[0], world.ctx.settings.anchors[0]
    folders["audit"].rotate()
    new = WitnessFolder(tmp_path / "audit").vkeys[0]
    configure(world, [AnchorConfig(**{**config.model_dump(), "key": new, "earlier": (f"{old} 0..9",)})])
    assert compare_anchor(world.ctx, world.ctx.settings.anchors[0]).status == "agrees"
    configure(world, [AnchorConfig(**{**config.model_dump(), "key": new})])
    assert compare_anchor(world.ctx, world.ctx.settings.anchors[0]).status != "agrees", "a key that nobody named"
