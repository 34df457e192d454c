"""`golden:import` and `golden:withdraw`: cases with a known right answer, kept as content and named by version and digest.

Owns: versions of a set, its cases in the content store, who may read them, the set a plan names. Does not own: checks (governor.shadow.golden), asking.
Invariants: the texts are kept as the workflow's capture mode lets content be kept, encrypted, under their hash; a version is never edited, the same cases
again are the same version; a withdrawn set's texts are erased and no plan can name it any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, TypedDict

from sqlmodel import Session, col, select

from governor.actions.context import Actor, Context
from governor.actions.golden_lines import ARM_PREFIX
from governor.actions.load_catalog import catalog_as_of, read_catalog
from governor.actions.replay_inputs import read_document
from governor.actions.show_losses import may_not_read
from governor.catalog.parse import strict_yaml
from governor.errors import Forbidden, Invalid, NotFound, Refused, TooLarge
from governor.ledger.canonical import canonical_json
from governor.ledger.entry import EntryDraft
from governor.shadow.golden import NAME, Case, GoldenCase, GoldenSet, read_cases, set_digest
from governor.shadow.plan import margin_of, plain
from governor.shadow.statistics import least_pairs
from governor.store.capture import capture
from governor.store.rows.base import uuid7
from governor.store.rows.changes import ReplayResult
from governor.store.rows.golden import GoldenVersion

KEEPERS: Final = ("requester", "owner", "admin")
ERASERS: Final = ("owner", "security", "admin")
MARGIN: Final = "0.05"
MAX_BYTES: Final = 16 * 1024 * 1024


def read_file(body: bytes) -> list[Case]:
    """Cases of a JSON, JSON-lines or YAML file. Raises Invalid or TooLarge."""
    if len(body) > MAX_BYTES:
        raise TooLarge(f"{len(body)} bytes; a golden set is at most {MAX_BYTES}")
    try:
        text = body.decode()
        try:
            lines = [json.loads(line) for line in body.splitlines() if line.strip()]  # of bytes: a text may hold other ends of lines
            rows: Any = lines[0] if len(lines) == 1 and not (isinstance(lines[0], dict) and "id" in lines[0]) else lines
        except ValueError:
            rows = json.loads(text) if text.lstrip()[:1] in {"[", "{"} else one_document(body)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the file is no JSON, JSON lines or YAML: {str(error).splitlines()[0][:200]}") from None
    return read_cases(rows)


def one_document(body: bytes) -> Any:
    documents = strict_yaml(body, "the golden set")
    if len(documents) != 1:
        raise Invalid(f"the golden set has {len(documents)} YAML documents; write one, a list of cases")
    return documents[0]


def import_golden(ctx: Context, actor: Actor, *, workflow: str, name: str, body: bytes) -> dict[str, Any]:
    """{"set","workflow","version","digest","cases","new"}: a new version, or the one that holds exactly these cases."""
    actor.require(*KEEPERS)
    if not NAME.fullmatch(name):
        raise Invalid(f"set name {name!r}: letters, digits, dot, dash, colon, underscore; at most 100")
    catalog = catalog_as_of(ctx)
    catalog.workflow(workflow)
    mode = str(catalog.capture(workflow))
    kept = [(case, capture(mode, canonical_json(plain(case.document())))) for case in read_file(body)]
    if any(one.body is None or one.sha256 is None for _, one in kept):
        raise Refused(
            f"content of {workflow} may not be kept (capture mode {mode})", hint="set content_capture of the workflow to redacted or full"
        )
    cases = [GoldenCase(case.id, str(one.sha256), case.check) for case, one in kept]
    found = set_digest(name, cases)
    with ctx.transaction(actor) as tx:
        rows = versions(tx.session, ctx.org, name)
        if any(row.workflow_id != workflow for row in rows):
            raise Invalid(f"golden set {name} belongs to workflow {rows[0].workflow_id}", hint="give another name")
        same = next((row for row in rows if row.digest == found and row.withdrawn_at is None), None)
        version = same.version if same is not None else max((row.version for row in rows), default=0) + 1
        ctx.content.put_many((str(one.sha256), one.body or b"") for _, one in kept)
        if same is None:
            tx.session.add(
                GoldenVersion(
                    org_id=ctx.org,
                    name=name,
                    workflow_id=workflow,
                    version=version,
                    digest=found,
                    cases=json.dumps([asdict(case) for case in cases]),
                    imported_by=actor.id,
                    imported_at=tx.now,
                )
            )
            payload = {"set": name, "workflow": workflow, "version": version, "digest": found, "cases": len(cases)}
            tx.append(
                EntryDraft(
                    type="golden:import",
                    stream=f"golden/{name}",
                    payload=payload,
                    actor=actor.ledger_ref(),
                    idem=f"golden:import:{uuid7()}",
                    occurred_at=tx.now,
                )
            )
    return {"set": name, "workflow": workflow, "version": version, "digest": found, "cases": len(cases), "new": same is None}


class GoldenRow(TypedDict):
    """withdrawn: its texts are erased."""

    set: str
    workflow: str
    version: int
    digest: str
    cases: int
    imported_at: str
    withdrawn: bool


def list_golden(ctx: Context, workflow: str = "") -> list[GoldenRow]:
    """Versions, newest first; no texts."""
    with ctx.rows.session() as session:
        query = select(GoldenVersion).where(GoldenVersion.org_id == ctx.org)
        query = query.where(GoldenVersion.workflow_id == workflow) if workflow else query
        return [
            {
                "set": row.name,
                "workflow": row.workflow_id,
                "version": row.version,
                "digest": row.digest,
                "cases": len(json.loads(row.cases)),
                "imported_at": row.imported_at.isoformat(),
                "withdrawn": row.withdrawn_at is not None,
            }
            for row in session.exec(query.order_by(col(GoldenVersion.name), col(GoldenVersion.version).desc()))
        ]


def show_golden(ctx: Context, actor: Actor, name: str, version: int | None = None) -> dict[str, Any]:
    """One version with its cases; their texts only for whoever may read the workflow's content. Raises NotFound."""
    with ctx.rows.session() as session:
        row = pick(versions(session, ctx.org, name), name, version)
        workflow = read_catalog(session, ctx.org, ctx.now()).workflows.get(row.workflow_id)
    why_not = may_not_read(actor, workflow.owner if workflow else "", workflow.data_class if workflow else "restricted")
    cases = [{**case, **({} if why_not else {"content": read_document(ctx, case["sha256"])})} for case in json.loads(row.cases)]
    head = {
        "set": row.name,
        "workflow": row.workflow_id,
        "version": row.version,
        "digest": row.digest,
        "withdrawn": row.withdrawn_at is not None,
    }
    return head | {"cases": cases, "may_read": not why_not, "why_not": why_not}


def withdraw_golden(ctx: Context, actor: Actor, name: str, reason: str) -> dict[str, Any]:
    """Every version is withdrawn; its texts, and what shadow runs answered to them, are erased. Digests and evidence stay."""
    actor.require(*ERASERS)
    if not reason.strip():
        raise Invalid("withdrawing needs a reason")
    with ctx.transaction(actor) as tx:
        rows = versions(tx.session, ctx.org, name)
        pick(rows, name, None)
        workflow = rows[0].workflow_id
        owner = read_catalog(tx.session, ctx.org, tx.now).workflows.get(workflow)
        if not actor.roles & {"security", "admin"} and (owner is None or owner.owner != actor.email):
            raise Forbidden(f"golden set {name} is withdrawn by the owner of {workflow}, security or an admin")
        for row in rows:
            row.withdrawn_at = row.withdrawn_at or tx.now
            tx.session.add(row)
        mine = {case["sha256"] for row in rows for case in json.loads(row.cases)}
        others = select(GoldenVersion).where(GoldenVersion.org_id == ctx.org, col(GoldenVersion.withdrawn_at).is_(None))
        shared = {case["sha256"] for row in tx.session.exec(others) if row.name != name for case in json.loads(row.cases)}
        records = [f"{ARM_PREFIX}{address}" for address in sorted(mine - shared)]
        replies: set[str] = set()
        for at in range(0, len(records), 500):
            replies.update(
                tx.session.exec(
                    select(ReplayResult.output_sha256).where(
                        ReplayResult.org_id == ctx.org,
                        col(ReplayResult.record_id).in_(records[at : at + 500]),
                        ReplayResult.output_sha256 != "",
                    )
                )
            )
        payload = {"set": name, "workflow": workflow, "versions": len(rows), "reason": reason.strip()}
        tx.append(
            EntryDraft(
                type="golden:withdraw",
                stream=f"golden/{name}",
                payload=payload,
                actor=actor.ledger_ref(),
                idem=f"golden:withdraw:{uuid7()}",
                occurred_at=tx.now,
            )
        )
    erased = sum(ctx.content.erase(address) for address in sorted((mine - shared) | replies))
    return {"set": name, "versions": len(rows), "erased": erased}


def golden_of(ctx: Context, option: Any, workflow: str, *, judged: bool, alpha: float) -> GoldenSet | None:
    """options.golden: the name of a set, or {set, version, margin, critical}. Raises Refused where its size cannot decide the margin."""
    if not option:
        return None
    asked: Mapping[str, Any] = {"set": option} if isinstance(option, str) else option
    if not isinstance(asked, Mapping) or "set" not in asked or not set(asked) <= {"set", "version", "margin", "critical"}:
        raise Invalid("golden is the name of a set, or set, version, margin and critical")
    name, margin, critical = str(asked["set"]), str(asked.get("margin", MARGIN)), asked.get("critical", True)
    if critical not in (True, False):
        raise Invalid(f"golden.critical is true or false, not {critical!r}")
    if (version := asked.get("version")) is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise Invalid(f"golden.version is a whole number, not {version!r}")
    margin_of("golden", margin)
    with ctx.rows.session() as session:
        row = pick([one for one in versions(session, ctx.org, name) if one.withdrawn_at is None], name, version)
    if row.workflow_id != workflow:
        raise Invalid(f"golden set {name} belongs to workflow {row.workflow_id}, not {workflow}")
    cases = tuple(GoldenCase(**case) for case in json.loads(row.cases))
    checked = sum(bool(case.check) for case in cases)
    needed = least_pairs(float(margin), alpha=alpha)
    if critical and checked < needed:
        raise Refused(
            f"{checked} checked cases of golden set {name} cannot decide a margin of {margin}: even perfect agreement needs {needed}",
            hint="add cases, widen golden.margin, or set golden.critical to false: then it is reported and decides nothing",
        )
    if checked < len(cases) and not judged:
        raise Refused(f"{len(cases) - checked} cases of golden set {name} have only a rubric", hint="name a judge in the plan's options")
    return GoldenSet(name, row.version, row.digest, cases, margin, bool(critical))


def versions(session: Session, org: str, name: str) -> Sequence[GoldenVersion]:
    query = select(GoldenVersion).where(GoldenVersion.org_id == org, GoldenVersion.name == name)
    return session.exec(query.order_by(col(GoldenVersion.version).desc())).all()


def pick(rows: Sequence[GoldenVersion], name: str, version: int | None) -> GoldenVersion:
    """The named version, else the newest."""
    found = next((row for row in rows if version is None or row.version == version), None)
    if found is None:
        raise NotFound(
            f"no golden set {name}" + (f" of version {version}" if version is not None else ""), hint="`governor golden list` names them"
        )
    return found
