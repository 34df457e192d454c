"""`/api/v1/trust` and `/api/v1/packets/verify`: what a verifier must believe, and the same check that runs offline."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from litestar import MediaType, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body
from msgspec import Struct

from governor.actions.context import Context
from governor.actions.export_trust import export_trust
from governor.api.bearer import ASKS
from governor.api.idempotency import REPEATABLE
from governor.packets.verify import verify_packet


class Verification(Struct):
    """packet: the .govpacket file; trust: the trust file, received outside the packet."""

    packet: UploadFile
    trust: UploadFile | None = None


@get("/trust", sync_to_thread=True, tags=["packets"], media_type=MediaType.TEXT)
def show_trust(ctx: Context) -> str:
    """Log and issuer public keys with the witness quorum, as text. Hand it to an auditor once, outside any packet."""
    return export_trust(ctx)


@post("/packets/verify", status_code=200, tags=["packets"], opt={ASKS: True, REPEATABLE: True})
async def verify(data: Annotated[Verification, Body(media_type=RequestEncodingType.MULTI_PART)]) -> dict[str, Any]:
    """Check a packet with nothing but a trust file: VERIFIED, FAILED or UNDECIDED, check by check.

    An auditor who does not want to believe this server runs `governor packet verify` on their own machine; it is the same code.
    """
    packet = await data.packet.read()
    trust = await data.trust.read() if data.trust is not None else None
    report = await to_thread.run_sync(verify_packet, packet, trust)
    return report.as_dict()


ROUTES = [show_trust, verify]
