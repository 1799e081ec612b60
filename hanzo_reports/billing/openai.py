"""Reads OpenAI's usage and costs in the form of its API: pages of buckets, each with results."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeAlias

from hanzo_reports.billing.bill_lines import model_name
from hanzo_reports.errors import UnreadableError
from hanzo_reports.pricing.price_cards import DAY, price_cards, price_list_version
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Period: TypeAlias = tuple[str, str, str, str]  # kind, provider, first instant, the instant just after the last
OPENAI = "openai"


@dataclass
class Pages:
    """The pages of a bill: the file of each bucket, and the pages with `has_more`.

    Args:
        files: the file of each bucket.
        cut_off: (kind, end, file) of each page with `has_more`.
    """

    files: dict[Period, str] = field(default_factory=dict)
    cut_off: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, path: Path, buckets: set[Period], cut_off: set[str]) -> None:
        """Adds a file with its buckets, and the end of each page with `has_more`.

        Raises:
            UnreadableError: another file holds one of the buckets.
        """
        for bucket in sorted(buckets):
            other = self.files.setdefault(bucket, str(path))
            if other != str(path):
                period = f"{bucket[2]} to {bucket[3]}"
                msg = f"{path}: {other} also bills {period}; load one of them, or load them separately"
                raise UnreadableError(msg)
        self.cut_off += [(kind, end, str(path)) for kind in {bucket[0] for bucket in buckets} for end in cut_off]

    def check(self) -> None:
        """Checks that the pages that follow are given too.

        Raises:
            UnreadableError: they are not.
        """
        for kind, end, path in self.cut_off:
            if not any(bucket[0] == kind and bucket[2] >= end for bucket in self.files):
                msg = f"{path}: the bill ends at {end}, but has_more is true; load the following pages with it"
                raise UnreadableError(msg)


def read_openai(path: Path, pages: Pages) -> tuple[list[dict[str, Any]], set[Period]]:
    """The lines of a file, and the periods that it bills.

    Args:
        path: a page as JSON, several, a list of buckets, or lines of any of these; also gzipped.
        pages: the pages of the bill's other files; those of this one are added.

    Raises:
        UnreadableError: the file cannot be read, or another file holds the same buckets.
    """
    lines: list[dict[str, Any]] = []
    times: set[tuple[str, str]] = set()
    cut_off: set[str] = set()
    for bucket, has_more in _read_buckets(path):
        try:
            start, end = (datetime.fromtimestamp(bucket[side], UTC) for side in ("start_time", "end_time"))
            lines += [_build_line(result, start, end) for result in bucket["results"]]
        except (LookupError, TypeError, ValueError, AttributeError, InvalidOperation, OverflowError, OSError) as error:
            msg = f"{path}: a bucket does not have the format of OpenAI's usage API: {type(error).__name__} {error}"
            raise UnreadableError(msg) from None
        times.add((iso(start), iso(end)))
        cut_off |= {iso(end)} if has_more else set()
    periods = {(kind, OPENAI, *time) for kind in {line["kind"] for line in lines} for time in times}
    pages.add(path, periods, cut_off)
    return lines, periods


def _build_line(result: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
    line = {"provider": OPENAI, "period_start": iso(start), "period_end": iso(end), "currency": "USD",
            "account": result.get("project_id") or "", "requests": None, "input_tokens": None,
            "output_tokens": None}  # fmt: skip
    if "amount" in result:
        model = model_name(str(result.get("line_item") or "").partition(",")[0])
        currency = str(result["amount"]["currency"]).upper()
        cost = Decimal(str(result["amount"]["value"]))
        if not cost.is_finite():
            msg = f"an amount of {cost}"
            raise ValueError(msg)
        return line | {"kind": "openai_costs", "model": model, "currency": currency, "cost": cost,
                       "cost_source": "reported"}  # fmt: skip
    list_cost = _list_cost(result, start)
    source = None if list_cost is None else f"computed:{price_list_version()}"
    return line | {
        "kind": _bill_kind(result), "model": model_name(result.get("model")),
        "requests": _parse_count(result, "num_model_requests"),
        "input_tokens": _parse_count(result, "input_tokens"), "output_tokens": _parse_count(result, "output_tokens"),
        "cost": list_cost, "cost_source": source,
    }  # fmt: skip


def _bill_kind(result: dict[str, Any]) -> str:
    """The kind of bill: each usage endpoint of the API is a kind, so that none replaces another."""
    of = str(result.get("object", "")).removeprefix("organization.usage.").removesuffix(".result")
    return "openai_usage" if of in {"", "completions"} else f"openai_usage.{of}"


def _parse_count(result: dict[str, Any], name: str) -> int | None:
    return None if result.get(name) is None else int(result[name])


def _list_cost(result: dict[str, Any], start: datetime) -> Decimal | None:
    """A bucket's tokens at list price, in the tier of its average request; None: a batch, or without a known price."""
    model, requests = result.get("model"), result.get("num_model_requests") or 1
    tokens = [int(result.get(name) or 0) for name in ("input_tokens", "input_cached_tokens", "output_tokens")]
    if not model or result.get("batch"):
        return None
    second, size = int(start.timestamp()), tokens[0] // requests
    for card in price_cards(OPENAI, model):
        holds = card.since <= second < card.until and card.opens <= second % DAY < card.closes
        if holds and card.above < size + (not size) <= card.upto:
            slopes = (card.input, card.cache_read, card.output)
            return card.request * requests + sum(
                (count * slope for count, slope in zip(tokens, slopes, strict=True)), Decimal(0)
            )
    return None


def _read_buckets(path: Path) -> Iterator[tuple[dict[str, Any], bool]]:
    """The buckets of a file, each with whether it ends a page that says that more follow."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode()
    except (OSError, UnicodeDecodeError, EOFError) as error:
        msg = f"{path} cannot be read: {error}"
        raise UnreadableError(msg) from None
    try:
        parts = [json.loads(text, parse_float=Decimal)]
    except ValueError:
        try:
            parts = [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            msg = f"{path} is not JSON: {error}"
            raise UnreadableError(msg) from None
    for part in parts:
        for page in part if isinstance(part, list) else [part]:
            buckets = page.get("data", [page]) if isinstance(page, dict) else [page]
            if not isinstance(buckets, list) or not all(isinstance(one, dict) and "results" in one for one in buckets):
                msg = f"{path}: no usage buckets; OpenAI's usage API gives a page with `data`, each with `results`"
                raise UnreadableError(msg)
            for place, bucket in enumerate(buckets, 1):
                yield bucket, place == len(buckets) and bool(page.get("has_more"))
