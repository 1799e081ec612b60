"""What a request cost, by the price list that held when it was made.

The list is genai-prices: dated, by provider and model, with tiers, times of day and cheaper cached tokens. Within one
tier of one price a cost is linear in the tokens, so the list is asked for each slope once, and the rows are priced by
a join: the same decimals as its `calc_price`, for millions of rows. Slopes are whole numbers of picodollars and, for
prices like a third of a cent, of attodollars beside them: machine words, ten times as fast as wide decimals.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, StartDateConstraint, TieredPrices, Usage

from hanzo_reports.events import MONEY
from hanzo_reports.metrics.dialect import epoch_seconds, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import ibis.expr.types as ir
    from genai_prices.types import ModelInfo
    from ibis.backends.duckdb import Backend

DAY = 86_400
FAILED = 400
NANO, PICO, ATTO = 10**9, 10**12, 10**18  # in a dollar
MOST_TOKENS = 10**9  # of one kind in a request; with MOST_PICO, four products of both fit into 64 bits
MOST_PICO = 2 * 10**9
_WHOLE, _NANO = dt.Decimal(18, 0), dt.Decimal(10, 9)
_EVER = (-(2**62), 2**62)
_PARTS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


@dataclass(frozen=True)
class Card:
    """One line of the price list: what a model's tokens cost, as long as all of its limits hold.

    Args:
        provider: as events name it, or None.
        model: as events name it.
        since: first UTC second of the price, since 1970.
        until: the second just after its last.
        opens: second of the UTC day from which it holds.
        closes: the second of the day just after its last.
        above: it holds for requests with more input tokens than this.
        upto: and at most this many.
        request: USD for the request itself.
        input: USD per input token, cached or not.
        cache_read: USD per token read from a cache, on top of `input`; mostly negative.
        cache_write: the same for a token written to a cache.
        output: USD per output token.

    `columns` has the five amounts twice: whole picodollars (rounded down), and the attodollars above those.
    """

    provider: str | None
    model: str
    since: int
    until: int
    opens: int
    closes: int
    above: int
    upto: int
    request: Decimal
    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    output: Decimal

    def columns(self) -> dict[str, str | int | None]:
        """The line as a row of the table that events are joined to."""
        row = asdict(self)
        for name in _AMOUNTS:
            row[name], row[f"{name}_atto"] = divmod(int(row[name] * ATTO), ATTO // PICO)
        return row


_AMOUNTS = ("request", "input", "cache_read", "cache_write", "output")
_CARDS = pa.schema(
    [("provider", pa.string()), ("model", pa.string())]
    + [(field.name, pa.int64()) for field in fields(Card)[2:]]
    + [(f"{name}_atto", pa.int64()) for name in _AMOUNTS]
)


@ibis.udf.scalar.builtin(signature=((_WHOLE, _NANO), dt.Decimal(28, 9)))  # type: ignore[untyped-decorator]
def multiply(number: object, by: object) -> object:
    """DuckDB: decimals multiplied; Ibis refuses these two types."""


def price_version() -> str:
    """The version of the price list, as `cost_source` names it."""
    return f"genai-prices/{version('genai-prices')}"


def price(rows: ibis.Table) -> ibis.Table:
    """Rows with their cost, and with what the price list says beside it.

    Args:
        rows: columns of the event, and others, on a DuckDB connection; `cost` is what the log reports, or NULL.

    Returns:
        The rows; `cost` in USD is the reported one, else the computed one, else NULL; `cost_source` is ``reported``
        (or what the log says of it), or ``computed:`` and the list's version, or NULL; `_list_cost` is the computed
        cost. A failed request without tokens costs 0; one whose model the list, or whose tokens nobody, knows is NULL.
    """
    con: Backend = rows.get_backend()
    pairs = rows.filter(rows["model"].notnull()).select("provider", "model").distinct().to_pyarrow().to_pylist()
    found = [card for pair in pairs for card in cards(pair["provider"], pair["model"])]
    lines = pa.Table.from_pylist([card.columns() for card in found], _CARDS)
    table = con.create_table(ibis.util.gen_name("cards"), lines, temp=True)
    return _priced(rows, table.rename({f"_card_{name}": name for name in _CARDS.names}), found)


def _priced(rows: ibis.Table, card: ibis.Table, found: Sequence[Card]) -> ibis.Table:
    """The rows joined to the card that holds for each."""
    same = [rows["model"] == card["_card_model"], rows["provider"].identical_to(card["_card_provider"])]
    joined = rows.left_join(card, [*same, *_limits(rows, card, found)])
    listed = _computed(joined)
    cost = joined["cost"].coalesce(listed)
    source = ibis.cases(
        (joined["cost"].notnull(), joined["cost_source"].fill_null("reported")),
        (listed.notnull(), f"computed:{price_version()}"),
        else_=ibis.null("string"),
    )
    return joined.mutate(cost=cost, cost_source=source, _list_cost=listed).drop(*card.columns)


def _limits(rows: ibis.Table, card: ibis.Table, found: Sequence[Card]) -> Iterator[ir.BooleanValue]:
    """The conditions that tell a model's cards apart; those that are true of every row are left out."""
    second, tokens = epoch_seconds(rows["timestamp"]), rows["input_tokens"].fill_null(0)
    if any((each.since, each.until) != _EVER for each in found):
        yield second >= card["_card_since"]
        yield second < card["_card_until"]
    if any((each.opens, each.closes) != (0, DAY) for each in found):
        yield second % DAY >= card["_card_opens"]
        yield second % DAY < card["_card_closes"]
    if any((each.above, each.upto) != (-1, _EVER[1]) for each in found):
        yield tokens > card["_card_above"]
        yield tokens <= card["_card_upto"]


def _computed(joined: ibis.Table) -> ir.DecimalValue:
    """What the card says that a row costs, rounded half up to the places of money."""
    counts = [joined[name].fill_null(0) for name in _PARTS]
    pico, atto = joined["_card_request"], joined["_card_request_atto"]
    for count, slope in zip(counts, ("input", "cache_read", "cache_write", "output"), strict=True):
        pico += count * joined[f"_card_{slope}"]
        atto += count * joined[f"_card_{slope}_atto"]
    nano = whole(pico + whole(atto, ATTO // PICO) + PICO // NANO // 2, PICO // NANO)
    cost = multiply(nano.cast(_WHOLE), ibis.literal(Decimal(1) / NANO, _NANO)).cast(MONEY)
    tokens, read, written, output = counts
    told = joined["input_tokens"].notnull() | joined["output_tokens"].notnull()
    sound = (read + written <= tokens) & (tokens <= MOST_TOKENS) & (output <= MOST_TOKENS)
    idle = (joined["status"] >= FAILED) & (tokens + output == 0) & joined["_card_model"].notnull()
    return ibis.cases(
        (joined["model"].isnull(), ibis.null(MONEY)),
        (idle, ibis.literal(Decimal(0), MONEY)),
        (told & sound, cost),
        else_=ibis.null(MONEY),
    )


def cards(provider: str | None, model: str) -> Iterator[Card]:
    """The lines of the price list for a model, as events name it and its provider; none for an unknown one."""
    found = _found(provider, model)
    if found is None:
        return
    dates, clock = _cuts(found)
    for since, until in pairwise(dates):
        for opens, closes in pairwise(clock):
            at = datetime.combine(since, time(), UTC) + timedelta(seconds=opens)
            limits = (_second(since), _second(until), opens, closes)
            prices = found.get_prices(at)
            for above, upto in pairwise(_tiers(prices)):
                slopes = _slopes(_flat(prices, above + 1))
                if slopes is not None and max(map(abs, slopes)) * PICO <= MOST_PICO:
                    yield Card(provider, model, *limits, above, upto, *slopes)


def listed_as(provider: str, model: str) -> str:
    """The name that the price list has for a model, whatever version of it is named; of an unknown one, its own."""
    found = _found(provider, model)
    return found.id if found else model


def _found(provider: str | None, model: str) -> ModelInfo | None:
    """The list's own entry for a model; prefixes like ``anthropic/`` name a provider, or are left out."""
    snapshot, head, rest = get_snapshot(), *model.partition("/")[::2]
    tries = [(model, provider), (rest, provider), (rest, head)] if provider else [(rest, head)]
    for name, seller in (*tries, (model, None)):
        try:
            return snapshot.find_provider_model(name, None, seller, None)[1]
        except LookupError:
            continue
    return _found(provider, rest) if rest else None


def _cuts(sold: ModelInfo) -> tuple[list[date], list[int]]:
    """The dates and the seconds of the day at which a model's price may change, with the outer ends."""
    dates, clock = {date.min, date.max}, {0, DAY}
    for conditional in () if isinstance(sold.prices, ModelPrice) else sold.prices:
        limit = conditional.constraint
        if isinstance(limit, StartDateConstraint):
            dates.add(limit.start_date)
        elif limit is not None:
            for edge in (limit.start_time, limit.end_time):
                utc = datetime.combine(date(2000, 1, 1), edge, edge.tzinfo or UTC).astimezone(UTC)
                clock.add(utc.hour * 3600 + utc.minute * 60 + utc.second)
    return sorted(dates), sorted(clock)


def _second(day: date) -> int:
    """The first second of a UTC day since 1970; the outer ends of the calendar reach beyond all events."""
    if day in {date.min, date.max}:
        return _EVER[day == date.max]
    return int(datetime.combine(day, time(), UTC).timestamp())


def _tiers(prices: ModelPrice) -> list[int]:
    """The numbers of input tokens above which another price holds for the whole request, with the outer ends."""
    starts = {tier.start for each in vars(prices).values() if isinstance(each, TieredPrices) for tier in each.tiers}
    return [-1, *sorted(starts), _EVER[1]]


def _flat(prices: ModelPrice, tokens: int) -> ModelPrice:
    """The prices of the tier that a request with so many input tokens is in."""
    flat = {}
    for key, price in vars(prices).items():
        flat[key] = price
        if isinstance(price, TieredPrices):
            flat[key] = next((tier.price for tier in reversed(price.tiers) if tokens > tier.start), price.base)
    return ModelPrice(**flat)


def _slopes(prices: ModelPrice) -> list[Decimal] | None:
    """USD for the request, and per token of each kind; None where the list cannot price tokens."""

    def cost(**counts: int) -> Decimal:
        return prices.calc_price(Usage(**{"input_tokens": 2} | counts))["total_price"]

    try:
        level = cost()
        steps = [cost(input_tokens=3), *(cost(**{name: 1}) for name in _PARTS[1:])]
    except ValueError:
        return None
    slopes = [step - level for step in steps]
    return [each.quantize(Decimal(1) / ATTO, ROUND_HALF_UP) for each in (level - 2 * slopes[0], *slopes)]
