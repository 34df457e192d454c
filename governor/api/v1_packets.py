"""`/api/v1/trust` and `/api/v1/packets/verify`: what a verifier must believe, and the same check that runs offline."""

from __future__ import annotations

from typing import Annotated, Final

from anyio import to_thread
from litestar import MediaType, Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body
from msgspec import Struct

from governor.actions.context import Actor, Context
from governor.actions.export_period import export_period
from governor.actions.export_trust import export_trust
from governor.api.bearer import ASKS
from governor.api.bodies import download
from governor.api.idempotency import REPEATABLE
from governor.ledger.canonical import sha256_hex
from governor.packets.report import ReportDocument
from governor.packets.verify import verify_packet

MEDIA_TYPE: Final = "application/zip"


class PacketToVerify(Struct):
    """packet: the .govpacket file; trust: the trust file, received outside the packet."""

    packet: UploadFile
    trust: UploadFile | None = None


class PeriodOfPacket(Struct, forbid_unknown_fields=True):
    """period: a day 2026-10-05, a month 2026-10, a quarter 2026-Q4 or a year 2026; recipient: name people in the packet, for this reader."""

    period: str
    recipient: str = ""


@get("/trust", sync_to_thread=True, tags=["packets"], media_type=MediaType.TEXT)
def show_trust(ctx: Context) -> str:
    """Log and issuer public keys with the witness quorum, as text. Hand it to an auditor once, outside any packet."""
    return export_trust(ctx)


@post("/packets/verify", status_code=200, tags=["packets"], opt={ASKS: True, REPEATABLE: True})
async def verify(data: Annotated[PacketToVerify, Body(media_type=RequestEncodingType.MULTI_PART)]) -> ReportDocument:
    """Check a packet with nothing but a trust file: VERIFIED, FAILED or UNDECIDED, check by check.

    An auditor who does not want to believe this server runs `governor packet verify` on their own machine; it is the same code.
    """
    packet = await data.packet.read()
    trust = await data.trust.read() if data.trust is not None else None
    report = await to_thread.run_sync(verify_packet, packet, trust)
    return report.as_dict()


@post("/packets/period", status_code=200, sync_to_thread=True, tags=["packets"], opt={REPEATABLE: True}, media_type=MEDIA_TYPE)
def period(ctx: Context, actor: Actor, data: PeriodOfPacket) -> Response[bytes]:
    """Every change of a period in one packet, with the proof that none is missing. The same state gives the same bytes; issuing is on record."""
    body = export_period(ctx, actor, data.period, recipient=data.recipient)
    return download(body, MEDIA_TYPE, f"{data.period}.govpacket", **{"Governor-SHA256": sha256_hex(body)})


ROUTES = [show_trust, verify, period]
