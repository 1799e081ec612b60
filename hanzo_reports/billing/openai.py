"""OpenAI's usage and costs, as its API gives them: pages of buckets, each with results."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeAlias

from hanzo_reports.billing.reconciliation import name_of
from hanzo_reports.errors import UnreadableError
from hanzo_reports.pricing.price_list import DAY, cards, price_version
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Span: TypeAlias = tuple[str, str, str, str]  # kind, provider, first instant, the instant just after the last
OPENAI = "openai"


@dataclass
class Pages:
    """The pages of a bill: which file tells of which buckets, and which pages say that there are more.

    Args:
        told: the file of each bucket, by kind and time.
        more: of pages with `has_more`, the kind, the end and the file.
    """

    told: dict[Span, str] = field(default_factory=dict)
    more: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, path: Path, spans: set[Span], more: set[str]) -> None:
        """A file with its buckets, and the ends of its pages that say that there are more."""
        for span in sorted(spans):
            other = self.told.setdefault(span, str(path))
            if other != str(path):
                msg = f"{path}: {other} tells of {span[2]} to {span[3]} too; give one of them, or each by itself"
                raise UnreadableError(msg)
        self.more += [(kind, end, str(path)) for kind in {span[0] for span in spans} for end in more]

    def check(self) -> None:
        """Whether the pages that follow are there too."""
        for kind, end, path in self.more:
            if not any(span[0] == kind and span[2] >= end for span in self.told):
                msg = (
                    f"{path}: the bill is cut off at {end}: has_more is true; give the pages that follow along with it"
                )
                raise UnreadableError(msg)


def openai(path: Path, pages: Pages) -> tuple[list[dict[str, Any]], set[Span]]:
    """The lines of a file, and the time that it tells of.

    Args:
        path: a page as JSON, several, a list of buckets, or lines of any of these; also gzipped.
        pages: what is known of the bill's other files; this one is added.

    Raises:
        UnreadableError: it cannot be read, or another file tells of the same buckets.
    """
    lines: list[dict[str, Any]] = []
    times: set[tuple[str, str]] = set()
    more: set[str] = set()
    for bucket, last in _buckets(path):
        try:
            start, end = (datetime.fromtimestamp(bucket[side], UTC) for side in ("start_time", "end_time"))
            lines += [_line(result, start, end) for result in bucket["results"]]
        except (LookupError, TypeError, ValueError, AttributeError, InvalidOperation, OverflowError, OSError) as error:
            msg = f"{path}: a bucket is not as OpenAI's usage API writes it: {type(error).__name__} {error}"
            raise UnreadableError(msg) from None
        times.add((iso(start), iso(end)))
        more |= {iso(end)} if last else set()
    spans = {(kind, OPENAI, *time) for kind in {line["kind"] for line in lines} for time in times}
    pages.add(path, spans, more)
    return lines, spans


def _line(result: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
    line = {"provider": OPENAI, "period_start": iso(start), "period_end": iso(end), "currency": "USD",
            "account": result.get("project_id") or "", "requests": None, "input_tokens": None,
            "output_tokens": None}  # fmt: skip
    if "amount" in result:
        model = name_of(str(result.get("line_item") or "").partition(",")[0])
        currency = str(result["amount"]["currency"]).upper()
        cost = Decimal(str(result["amount"]["value"]))
        if not cost.is_finite():
            msg = f"an amount of {cost}"
            raise ValueError(msg)
        return line | {"kind": "openai_costs", "model": model, "currency": currency, "cost": cost,
                       "cost_source": "reported"}  # fmt: skip
    listed = _priced(result, start)
    source = None if listed is None else f"computed:{price_version()}"
    return line | {
        "kind": _kind(result), "model": name_of(result.get("model")), "requests": _count(result, "num_model_requests"),
        "input_tokens": _count(result, "input_tokens"), "output_tokens": _count(result, "output_tokens"),
        "cost": listed, "cost_source": source,
    }  # fmt: skip


def _kind(result: dict[str, Any]) -> str:
    """The kind of bill: each of the API's usages is one of its own, so that none replaces another."""
    of = str(result.get("object", "")).removeprefix("organization.usage.").removesuffix(".result")
    return "openai_usage" if of in {"", "completions"} else f"openai_usage.{of}"


def _count(result: dict[str, Any], name: str) -> int | None:
    return None if result.get(name) is None else int(result[name])


def _priced(result: dict[str, Any], start: datetime) -> Decimal | None:
    """A bucket's tokens at list price, in the tier of its average request; None: a batch, or no price is known."""
    model, requests = result.get("model"), result.get("num_model_requests") or 1
    tokens = [int(result.get(name) or 0) for name in ("input_tokens", "input_cached_tokens", "output_tokens")]
    if not model or result.get("batch"):
        return None
    second, size = int(start.timestamp()), tokens[0] // requests
    for card in cards(OPENAI, model):
        holds = card.since <= second < card.until and card.opens <= second % DAY < card.closes
        if holds and card.above < size + (not size) <= card.upto:
            slopes = (card.input, card.cache_read, card.output)
            return card.request * requests + sum(
                (count * slope for count, slope in zip(tokens, slopes, strict=True)), Decimal(0)
            )
    return None


def _buckets(path: Path) -> Iterator[tuple[dict[str, Any], bool]]:
    """The buckets of a page, of several, of a list, or of lines of any of these; and which end a page before others."""
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
            msg = f"{path}: no JSON: {error}"
            raise UnreadableError(msg) from None
    for part in parts:
        for one in part if isinstance(part, list) else [part]:
            inside = one.get("data", [one]) if isinstance(one, dict) else [one]
            if not isinstance(inside, list) or not all(isinstance(each, dict) and "results" in each for each in inside):
                msg = f"{path}: no usage buckets; OpenAI's usage API gives a page with `data`, each with `results`"
                raise UnreadableError(msg)
            for place, bucket in enumerate(inside, 1):
                yield bucket, place == len(inside) and bool(one.get("has_more"))
