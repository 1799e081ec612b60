"""The price list as flat cards: one line for each model, period, time of day and tier in which a price is constant.

The list is genai-prices: dated, by provider and model, with tiers, times of day and cheaper cached tokens. Within one
card a cost is linear in the tokens, so `price_cards` asks the list for each slope once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice, StartDateConstraint, TieredPrices, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genai_prices.types import ModelInfo

DAY = 86_400  # seconds
PICO, ATTO = 10**12, 10**18  # in a dollar
MAX_PICO = 2 * 10**9  # of one slope; see `price_list.MAX_TOKENS`
ALWAYS = (-(2**62), 2**62)  # the outer ends of time, and of a number of tokens
AMOUNTS = ("request", "input", "cache_read", "cache_write", "output")
TOKEN_KINDS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


@dataclass(frozen=True)
class Card:
    """One line of the price list: what a model's tokens cost while all of the line's conditions hold.

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

    def as_row(self) -> dict[str, str | int | None]:
        """The card as a row of the table that events are joined to.

        Each amount has two columns: `input` in whole picodollars, rounded down, and `input_atto`, the attodollars above
        those.
        """
        row = asdict(self)
        for name in AMOUNTS:
            row[name], row[f"{name}_atto"] = divmod(int(row[name] * ATTO), ATTO // PICO)
        return row


def price_list_version() -> str:
    """The version of the price list, as `cost_source` names it."""
    return f"genai-prices/{version('genai-prices')}"


def list_name(provider: str, model: str) -> str:
    """The price list's name for a model, whatever version of it is given; an unknown model keeps its own name."""
    entry = _find_model(provider, model)
    return entry.id if entry else model


def price_cards(provider: str | None, model: str) -> Iterator[Card]:
    """The lines of the price list for a model, as events name it and its provider; none for an unknown model."""
    entry = _find_model(provider, model)
    if entry is None:
        return
    dates, times_of_day = _price_changes(entry)
    for since, until in pairwise(dates):
        for opens, closes in pairwise(times_of_day):
            at = datetime.combine(since, time(), UTC) + timedelta(seconds=opens)
            period = (_first_second(since), _first_second(until), opens, closes)
            prices = entry.get_prices(at)
            for above, upto in pairwise(_tier_limits(prices)):
                slopes = _slopes(_prices_of_tier(prices, above + 1))
                if slopes is not None and max(map(abs, slopes)) * PICO <= MAX_PICO:
                    yield Card(provider, model, *period, above, upto, *slopes)


def _find_model(provider: str | None, model: str) -> ModelInfo | None:
    """The list's entry for a model; a prefix like ``anthropic/`` names a provider, or is ignored."""
    snapshot, prefix, rest = get_snapshot(), *model.partition("/")[::2]
    candidates = [(model, provider), (rest, provider), (rest, prefix)] if provider else [(rest, prefix)]
    for name, seller in (*candidates, (model, None)):
        try:
            return snapshot.find_provider_model(name, None, seller, None)[1]
        except LookupError:
            continue
    return _find_model(provider, rest) if rest else None


def _price_changes(entry: ModelInfo) -> tuple[list[date], list[int]]:
    """The dates and the seconds of the day at which a model's price may change, with the outer ends."""
    dates, times_of_day = {date.min, date.max}, {0, DAY}
    for conditional in () if isinstance(entry.prices, ModelPrice) else entry.prices:
        constraint = conditional.constraint
        if isinstance(constraint, StartDateConstraint):
            dates.add(constraint.start_date)
        elif constraint is not None:
            for edge in (constraint.start_time, constraint.end_time):
                utc = datetime.combine(date(2000, 1, 1), edge, edge.tzinfo or UTC).astimezone(UTC)
                times_of_day.add(utc.hour * 3600 + utc.minute * 60 + utc.second)
    return sorted(dates), sorted(times_of_day)


def _first_second(day: date) -> int:
    """The first second of a UTC day since 1970; the outer ends of the calendar reach beyond all events."""
    if day in {date.min, date.max}:
        return ALWAYS[day == date.max]
    return int(datetime.combine(day, time(), UTC).timestamp())


def _tier_limits(prices: ModelPrice) -> list[int]:
    """The numbers of input tokens above which another price holds for the whole request, with the outer ends."""
    starts = {tier.start for each in vars(prices).values() if isinstance(each, TieredPrices) for tier in each.tiers}
    return [-1, *sorted(starts), ALWAYS[1]]


def _prices_of_tier(prices: ModelPrice, tokens: int) -> ModelPrice:
    """The prices of the tier of a request with this many input tokens."""
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
        steps = [cost(input_tokens=3), *(cost(**{name: 1}) for name in TOKEN_KINDS[1:])]
    except ValueError:
        return None
    slopes = [step - level for step in steps]
    return [each.quantize(Decimal(1) / ATTO, ROUND_HALF_UP) for each in (level - 2 * slopes[0], *slopes)]
