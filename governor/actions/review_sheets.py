"""`review:export` and `review:import`: the queue as a spreadsheet for people without an account, and their answers back.

Owns: rows of the sheet, matching them to pairs, errors by row. Does not own: file formats (adapters/spreadsheets.py), writing labels (review_labels.py).
Invariants: a sheet says no more than the page does; a row counts only for the very texts it was exported with (its check); importing the same sheet again
changes nothing; a row that cannot be taken is named and the others are taken. Whoever imports is the author of these labels beside the reviewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlmodel import Session

from governor.actions.assess import person_id
from governor.actions.context import Actor, Context
from governor.actions.review import ensure_review
from governor.actions.review_labels import LONGEST_NOTE, record
from governor.actions.review_queue import Work, blind_texts, load_work, other_part, progress, refuse
from governor.adapters.spreadsheets import read_sheet, write_sheet
from governor.errors import Forbidden, Invalid
from governor.ledger.canonical import digest
from governor.shadow.labels import PICKS
from governor.store.rows.reviews import ReviewLabel

TYPES: Final = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
COLUMNS: Final = ("change", "pair", "check", "request", "answer_a", "answer_b", "pick", "note")
NEEDED: Final = ("change", "pair", "check", "pick")
PART: Final = "registered"


def export_sheet(ctx: Context, actor: Actor, change_id: str, *, form: str = "xlsx", reviewer: str = "", everything: bool = False) -> bytes:
    """The pairs this reviewer has not labelled: the registered part that is still open, or with `everything` the rest too. form: xlsx | csv."""
    with ctx.rows.session() as session:
        work = load_work(ctx, session, actor, change_id)
        refuse(work)
        name = reviewer_name(actor, reviewer)
        refuse_named(session, ctx.org, work, name)
        mine = work.by(name)
        places = [at for at in work.for_reviewer(name) if at not in mine or mine[at].state == "draft"]
        if not everything:
            places = [at for at in places if at in set(work.order[: work.plan.labels])]
        if not places:
            raise Invalid(
                f"nothing of {change_id} is left for {name}",
                hint="`governor review export --all` also has what lies beyond the registered part",
            )
        texts = blind_texts(ctx, session, work, places)
    rows = [
        (change_id, str(at), check_of(work, at, texts[at]), texts[at]["prompt"] or "", texts[at]["a"] or "", texts[at]["b"] or "", "", "")
        for at in places
    ]
    told = f"Which answer does better what the request asks? Write a, b, tie or unsure into the column pick. {len(rows)} pairs."
    return write_sheet(form, COLUMNS, rows, title=told, choices={"pick": PICKS})


def check_of(work: Work, position: int, texts: Mapping[str, str | None]) -> str:
    return digest([work.run.id, position, texts["prompt"], texts["a"], texts["b"]])[:16]


def reviewer_name(actor: Actor, reviewer: str) -> str:
    """Who compared: somebody named by the importer, else the importer."""
    name = " ".join(reviewer.split()).lower()
    if len(name) > 200 or not name.isprintable():  # noqa: PLR2004
        raise Invalid("a reviewer is a name or an e-mail address of at most 200 characters")
    return name or actor.email


def refuse_named(session: Session, org: str, work: Work, reviewer: str) -> None:
    """Somebody with an account is held to what they could not do on the page, whoever imports for them."""
    who = person_id(session, org, reviewer)
    why = other_part(session, org, who, work.change, reviewer) if who else ""
    if why:
        raise Forbidden(why)


def import_sheet(ctx: Context, actor: Actor, body: bytes, *, reviewer: str = "", change_id: str = "") -> dict[str, Any]:
    """{"change","imported","unchanged","empty","errors":[{"row","reason"}],"verdict"}; labels are submitted at once. One change a sheet.

    Raises Invalid for a file that is no such sheet, Forbidden where this person may not label.
    """
    name = reviewer_name(actor, reviewer)
    rows = read_sheet(body, NEEDED)
    named = {row["change"].strip() for _, row in rows if row["change"].strip()}
    if change_id:
        named.add(change_id)
    if len(named) != 1:
        raise Invalid(f"a sheet holds the pairs of one change; this one names {', '.join(sorted(named)[:4]) or 'none'}")
    change_id = named.pop()
    with ctx.transaction(actor) as tx:
        work = load_work(ctx, tx.session, actor, change_id, lock=True)
        refuse(work)
        refuse_named(tx.session, ctx.org, work, name)
        taken, counts, errors = read_rows(ctx, tx.session, work, actor, name, rows)
        found = record(ctx, tx, actor, work, taken) if taken else None
    if found is not None:
        ensure_review(ctx, change_id)
    return {"change": change_id, "reviewer": name, **counts, "errors": errors, **state_after(ctx, actor, change_id)}


def state_after(ctx: Context, actor: Actor, change_id: str) -> dict[str, Any]:
    with ctx.rows.session() as session:
        told = progress(load_work(ctx, session, actor, change_id), actor)
    return {name: told[name] for name in ("labelled", PART, "verdict")}


def read_rows(
    ctx: Context, session: Session, work: Work, actor: Actor, reviewer: str, rows: Sequence[tuple[int, Mapping[str, str]]]
) -> tuple[list[ReviewLabel], dict[str, int], list[dict[str, Any]]]:
    """(labels to submit, counts, rows that could not be taken)."""
    known = set(work.order)
    asked = {int(row["pair"]) for _, row in rows if row["pair"].strip().isdecimal() and int(row["pair"]) in known}
    texts = blind_texts(ctx, session, work, sorted(asked))
    mine = work.by(reviewer)
    taken: dict[int, ReviewLabel] = {}
    errors: list[dict[str, Any]] = []
    counts = {"imported": 0, "unchanged": 0, "empty": 0}
    for number, row in rows:
        pick, pair = row["pick"].strip().lower(), row["pair"].strip()
        if not pick:
            counts["empty"] += 1
            continue
        at = int(pair) if pair.isascii() and pair.isdecimal() and int(pair) in known else None
        note = row.get("note", "").strip()
        problem = (
            f"pair {pair[:20]!r} is not one of {work.change.id} whose answers differ"
            if at is None
            else "the texts of this pair are not those the sheet was exported with"
            if row["check"].strip() != check_of(work, at, texts[at])
            else f"pick {pick[:20]!r} is none of {', '.join(PICKS)}"
            if pick not in PICKS
            else f"the note is longer than {LONGEST_NOTE:,} characters"
            if len(note) > LONGEST_NOTE
            else f"pair {at} stands in this sheet twice"
            if at in taken
            else ""
        )
        earlier = mine.get(at) if at is not None else None
        if not problem and earlier is not None and earlier.state == "submitted":
            if earlier.pick == pick:
                counts["unchanged"] += 1
                continue
            problem = f"{reviewer} said {earlier.pick} on pair {at} already; what was submitted stays"
        if problem or at is None:
            errors.append({"row": number, "reason": problem})
            continue
        found = earlier or ReviewLabel(
            org_id=ctx.org, change_id=work.change.id, run_id=work.run.id, position=at, reviewer=reviewer, person_id=actor.id, pick=pick,
            labelled_at=ctx.now(),
        )  # fmt: skip
        found.pick, found.note, found.via, found.person_id, found.labelled_at = pick, note, "sheet", actor.id, ctx.now()
        taken[at] = found
    counts["imported"] = len(taken)
    return list(taken.values()), counts, errors
