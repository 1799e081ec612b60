"""Verdicts stored beside the data: JSON files in a store's folder, or rows of its state where it is not a folder.

::

    <store>/quality/<suite>-<scope>/<instant>-<number>-<8 digits>.json
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from hanzo_reports.atomic_write import write_text
from hanzo_reports.quality.verdict import Status, Verdict
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from hanzo_reports.store.base import Store

FOLDER = "quality"
MAX_VERDICTS = 1000  # of one suite and scope; older ones are removed
WORDS = {Status.PASSED: "passed", Status.WARNED: "warnings", Status.FAILED: "failed"}
TONES = {Status.PASSED: "good", Status.WARNED: "warn", Status.FAILED: "bad"}


def save_verdict(store: Store, verdict: Verdict) -> None:
    """Stores a verdict, whole or not at all; a skipped one says nothing and is not stored."""
    if verdict.status is Status.SKIPPED:
        return
    folder, at = _folder(store), _sortable(verdict.at)
    if folder is None:
        _insert(store, at, verdict)
        return
    place = folder / f"{verdict.suite}-{verdict.scope}"
    place.mkdir(parents=True, exist_ok=True)
    name = f"{at}-{len(list(place.glob(f'{at}-*.json'))):04d}-{uuid4().hex[:8]}"  # of one instant, the later is later
    write_text(place / f"{name}.json", f"{verdict.text()}\n")
    for old in sorted(place.glob("*.json"))[:-MAX_VERDICTS]:
        old.unlink(missing_ok=True)


def newest_verdicts(store: Store) -> list[Verdict]:
    """The newest verdict of each suite and scope."""
    return [verdicts[-1] for verdicts in _all(store, 1).values() if verdicts]


def verdicts_since(store: Store, since: datetime) -> list[Verdict]:
    """The verdicts from an instant on, in order of time, at most MAX_VERDICTS of each suite and scope."""
    by_suite = _all(store, MAX_VERDICTS, _sortable(iso(since)))
    return sorted((one for verdicts in by_suite.values() for one in verdicts), key=lambda one: one.at)


def current_verdicts(store: Store) -> list[Verdict]:
    """The newest verdicts that other pages show: of the package's suites about the store, and of the last load.

    A suite of the user's own is only on the page about the data's quality. Earlier loads are covered by the suites
    about the store.
    """
    verdicts = newest_verdicts(store)
    loads = [one for one in verdicts if one.scope == "load"]
    last = max(loads, key=lambda one: one.at, default=None)
    return [one for one in verdicts if one is last or (one.scope != "load" and one.about.get("shipped", True))]


def build_badge(verdicts: Iterable[Verdict]) -> dict[str, Any] | None:
    """What a page and a manifest say about the data; None: it has never been checked.

    Returns:
        `status` (the worst), `text` and `tone` for the page, and `suites`: name, scope, status, instant, failed checks.
    """
    verdicts = list(verdicts)
    if not verdicts:
        return None
    worst = max((one.status for one in verdicts), key=list(Status).index)
    suites = [
        {
            "suite": one.suite,
            "scope": one.scope,
            "status": one.status.value,
            "at": one.at,
            "quarantined": one.quarantined,
            "failed": [check.id for check in one.checks if check.state in {"failed", "error"}],
        }
        for one in verdicts
    ]
    count = sum(
        check.state in {"failed", "error"} and check.severity != "info" for one in verdicts for check in one.checks
    )
    text = f"{count} {WORDS[worst]}" if worst is Status.WARNED else WORDS[worst]
    return {"status": worst.value, "text": text.removesuffix("s") if count == 1 else text, "tone": TONES[worst],
            "suites": suites}  # fmt: skip


def _folder(store: Store) -> Path | None:
    folder = getattr(store, "folder", None)
    return Path(folder) / FOLDER if folder else None


def _sortable(at: str) -> str:
    """An ISO 8601 instant as a name that sorts by time."""
    head, _, fraction = at.rstrip("Z").partition(".")
    return f"{head.replace('-', '').replace(':', '')}{fraction:0<6}Z"


def _all(store: Store, most: int, since: str = "") -> dict[str, list[Verdict]]:
    folder = _folder(store)
    if folder is None:
        return _rows(store, most, since)
    places = sorted(path for path in folder.glob("*") if path.is_dir()) if folder.is_dir() else []
    return {
        place.name: [_read(path) for path in sorted(place.glob("*.json"))[-most:] if path.name >= since]
        for place in places
    }


def _read(path: Path) -> Verdict:
    return Verdict.read(path.read_text(encoding="utf-8"), str(path))


def _insert(store: Store, at: str, verdict: Verdict) -> None:
    import sqlalchemy  # noqa: PLC0415  # a folder does not need it

    from hanzo_reports.state.quality_tables import VERDICTS  # noqa: PLC0415  # as above

    with store.state.begin() as connection:
        same = sqlalchemy.select(sqlalchemy.func.count()).where(VERDICTS.c.verdict_id.startswith(at))
        name = f"{at}-{connection.execute(same).scalar_one():04d}-{uuid4().hex[:8]}"
        row = {"verdict_id": name, "suite": verdict.suite, "scope": verdict.scope, "verdict": verdict.text()}
        connection.execute(VERDICTS.insert().values(row))
        own = (VERDICTS.c.suite == verdict.suite, VERDICTS.c.scope == verdict.scope)
        names = sqlalchemy.select(VERDICTS.c.verdict_id).where(*own).order_by(VERDICTS.c.verdict_id.desc())
        oldest = connection.execute(names.offset(MAX_VERDICTS - 1).limit(1)).scalar_one_or_none()
        if oldest:
            connection.execute(VERDICTS.delete().where(*own, VERDICTS.c.verdict_id < oldest))


def _rows(store: Store, most: int, since: str) -> dict[str, list[Verdict]]:
    import sqlalchemy  # noqa: PLC0415  # as above

    from hanzo_reports.state.quality_tables import VERDICTS  # noqa: PLC0415  # as above

    columns = VERDICTS.c
    place = sqlalchemy.func.row_number().over(
        partition_by=[columns.suite, columns.scope], order_by=columns.verdict_id.desc()
    )
    ranked = sqlalchemy.select(VERDICTS, place.label("place")).subquery()
    wanted = (ranked.c.place <= most, ranked.c.verdict_id >= since)
    newest = sqlalchemy.select(ranked).where(*wanted).order_by(ranked.c.verdict_id)
    by_suite: dict[str, list[Verdict]] = {}
    with store.state.connect() as connection:
        rows: Sequence[Any] = connection.execute(newest).all()
    for row in rows:
        verdict = Verdict.read(row.verdict, f"verdict {row.verdict_id}")
        by_suite.setdefault(f"{row.suite}-{row.scope}", []).append(verdict)
    return by_suite
