"""A cost taken apart by kind of token, by the price list that held when the request was made.

The parts of a request are in the proportion of its list prices and add up to its cost to the last digit, so a reported
cost, with whatever discount is in it, is split as well. Nothing is priced anew: what a request cost stays what it was.
"""

from __future__ import annotations

from dataclasses import astuple, fields
from decimal import Decimal
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.events import MONEY
from hanzo_reports.metrics.dialect import epoch_seconds, money, small_table
from hanzo_reports.pricing.price_list import DAY, Card, cards

if TYPE_CHECKING:
    import ibis.expr.types as ir

COLUMNS = (
    "input_cost",
    "output_cost",
    "cache_read_cost",
    "cache_write_cost",
    "unsplit_cost",
    "cache_savings",
    "list_cost",
)
_PRICES = [field.name for field in fields(Card)[8:]]
_CARD = {
    f"_card_{field.name}": "float64" if field.name in _PRICES else "string" if number < 2 else "int64"  # noqa: PLR2004
    for number, field in enumerate(fields(Card))
}


def parts(events: ibis.Table) -> ibis.Table:
    """Events with what each kind of token cost, in USD; NULL where the cost is not known.

    Args:
        events: the columns of the event, on any engine.

    Returns:
        The events and further columns. `input_cost` (read from no cache), `output_cost`, `cache_read_cost`,
        `cache_write_cost` and `unsplit_cost` add up to `cost`; `unsplit_cost` is a fee for the request itself, or a
        cost of a model that the list does not know. `cache_savings` is what the same tokens would have cost more
        without a cache; below 0 where writing it cost more than reading it saved. `list_cost` is what the list says.

    Source: FOCUS ListCost.
    """
    known = events.filter(events["model"].notnull()).select("provider", "model").distinct().to_pyarrow().to_pylist()
    found = [astuple(card) for pair in known for card in cards(pair["provider"], pair["model"])]
    rows = [[float(each) if isinstance(each, Decimal) else each for each in row] for row in found]
    card = small_table(rows, _CARD, events)
    second, read = epoch_seconds(events["timestamp"]), events["input_tokens"].fill_null(0)
    limits = [
        events["model"] == card["_card_model"],
        events["provider"].identical_to(card["_card_provider"]),
        second >= card["_card_since"],
        second < card["_card_until"],
        second % DAY >= card["_card_opens"],
        second % DAY < card["_card_closes"],
        read > card["_card_above"],
        read <= card["_card_upto"],
    ]
    return _split(events.left_join(card, limits)).drop(*_CARD)


def _split(joined: ibis.Table) -> ibis.Table:
    """The events, each joined to the card that holds for it, with the columns."""
    read, written, cached, stored = (
        joined[name].fill_null(0).cast("float64")
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    )
    price = {name: joined[f"_card_{name}"] for name in _PRICES}
    saved = -(cached * price["cache_read"] + stored * price["cache_write"])
    listed = {
        "input_cost": (read - cached - stored) * price["input"],
        "output_cost": written * price["output"],
        "cache_read_cost": cached * (price["input"] + price["cache_read"]),
        "cache_write_cost": stored * (price["input"] + price["cache_write"]),
    }
    whole = price["request"] + sum(listed.values(), ibis.literal(0.0))
    sound = (
        (whole > 0) & (read >= cached + stored) & (joined["input_tokens"].notnull() | joined["output_tokens"].notnull())
    )
    rate = sound.ifelse(joined["cost"].cast("float64") / whole.nullif(0), ibis.null("float64"))
    nothing = ibis.literal(0).cast(MONEY)

    def part(amount: ir.Value) -> ir.Value:
        amount = (amount * rate).fill_null(0.0)
        return joined["cost"].isnull().ifelse(ibis.null(), money(amount))

    made = {name: part(amount) for name, amount in listed.items() if name != "input_cost"}
    made["unsplit_cost"] = (rate.isnull() & joined["cost"].notnull()).ifelse(joined["cost"], part(price["request"]))
    rest = joined["cost"] - sum(made.values(), nothing)
    made["input_cost"] = rest.cast(MONEY)
    computed = joined["cost_source"].fill_null("").startswith("computed:")
    list_cost = computed.ifelse(joined["cost"], money(sound.ifelse(whole, ibis.null())))
    return joined.mutate(**made, cache_savings=part(saved), list_cost=list_cost)
