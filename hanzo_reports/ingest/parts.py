"""A cost taken apart by kind of token, by the price list that held when the request was made.

The parts of a request are in the proportion of its list prices and add up to its cost to the last digit, so a reported
cost, with whatever discount is in it, is split as well. Nothing is priced anew: what a request cost stays what it was.
"""

from __future__ import annotations

import re
from dataclasses import astuple, fields
from decimal import Decimal
from typing import TYPE_CHECKING

import ibis

from hanzo_reports.events import MONEY
from hanzo_reports.ingest.prices import DAY, Card, cards
from hanzo_reports.metrics.dialect import epoch_seconds

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
_NOBODY, _NANO = "(no model)", Decimal(1).scaleb(-9)
_TEXT, _COUNTS, _PRICES = fields(Card)[:2], fields(Card)[2:8], fields(Card)[8:]


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
    card = _table([card for pair in known for card in cards(pair["provider"], pair["model"])])
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
    return _split(events.left_join(card, limits)).drop(*card.columns)


def _table(found: list[Card]) -> ibis.Table:
    """The lines of the price list as a table; they travel as one string, which every engine can split."""
    plain = [card for card in found if not re.search("[,;]", f"{card.provider}{card.model}")]
    lines = [",".join(str(value or 0) if value is not None else "" for value in astuple(card)) for card in plain]
    lines = lines or [",".join(["", _NOBODY, *["0"] * len(_COUNTS + _PRICES)])]
    text = ibis.literal(";".join(lines)).split(";").unnest().name("_text").as_table()
    cells = text["_text"].split(",")
    columns = {f"_card_{field.name}": cells[place].nullif("") for place, field in enumerate(_TEXT)}
    for place, field in enumerate(_COUNTS + _PRICES, len(_TEXT)):
        columns[f"_card_{field.name}"] = cells[place].cast("int64" if field in _COUNTS else "float64")
    return text.select(**columns)


def _split(joined: ibis.Table) -> ibis.Table:
    """The events, each joined to the card that holds for it, with the columns."""
    read, written, cached, stored = (
        joined[name].fill_null(0).cast("float64")
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    )
    price = {field.name: joined[f"_card_{field.name}"] for field in _PRICES}
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
        money = _money(amount * rate).fill_null(nothing)
        return joined["cost"].isnull().ifelse(ibis.null(MONEY), money)

    made = {name: part(amount) for name, amount in listed.items() if name != "input_cost"}
    made["unsplit_cost"] = (rate.isnull() & joined["cost"].notnull()).ifelse(joined["cost"], part(price["request"]))
    rest = joined["cost"] - sum(made.values(), nothing)
    made["input_cost"] = rest.cast(MONEY)
    computed = joined["cost_source"].fill_null("").startswith("computed:")
    list_cost = computed.ifelse(joined["cost"], _money(sound.ifelse(whole, ibis.null("float64"))))
    return joined.mutate(**made, cache_savings=part(saved), list_cost=list_cost)


def _money(amount: ir.Value) -> ir.Value:
    """A float as money, rounded half up to a billionth; engines cast fractions each in their own way."""
    billionths = (amount * 1e9 + 0.5).floor().cast("decimal(24, 9)")
    return (billionths * ibis.literal(_NANO, "decimal(10, 9)")).cast(MONEY)
