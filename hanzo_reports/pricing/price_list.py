"""What a request costs, by the price list of the time when it was made.

Rows are priced by a join to the list's cards: the same decimals as the list's own `calc_price`, for millions of rows.
Slopes are whole numbers of picodollars and, for prices like a third of a cent, of attodollars beside them: machine
words, ten times as fast as wide decimals.
"""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from hanzo_reports.events import MONEY
from hanzo_reports.metrics.dialect import epoch_seconds, whole
from hanzo_reports.pricing.price_cards import (
    ALWAYS,
    AMOUNTS,
    ATTO,
    DAY,
    PICO,
    TOKEN_KINDS,
    Card,
    price_cards,
    price_list_version,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

FAILED_STATUS = 400  # and above
NANO = 10**9  # in a dollar
MAX_TOKENS = 10**9  # of one kind in a request; with MAX_PICO, four products of both fit into 64 bits
_WHOLE, _NANO = dt.Decimal(18, 0), dt.Decimal(10, 9)
_CARD_TABLE = pa.schema(
    [("provider", pa.string()), ("model", pa.string())]
    + [(field.name, pa.int64()) for field in fields(Card)[2:]]
    + [(f"{name}_atto", pa.int64()) for name in AMOUNTS]
)


@ibis.udf.scalar.builtin(signature=((_WHOLE, _NANO), dt.Decimal(28, 9)))  # type: ignore[untyped-decorator]
def multiply(number: object, by: object) -> object:
    """DuckDB: decimals multiplied; Ibis refuses these two types."""


def price_events(rows: ibis.Table) -> ibis.Table:
    """Price rows: their own cost where the log reports one, else the list's.

    Args:
        rows: columns of the event, and others, on a DuckDB connection; `cost` is what the log reports, or NULL.

    Returns:
        The rows; `cost` in USD is the reported one, else the computed one, else NULL; `cost_source` is ``reported``
        (or what the log states), or ``computed:`` and the list's version, or NULL; `list_cost` is what the list says.
        A failed request without tokens costs 0, where the list knows its model. A cost is NULL where the list does not
        know the model, or where no tokens are logged.
    """
    con: Backend = rows.get_backend()
    pairs = rows.filter(rows["model"].notnull()).select("provider", "model").distinct().to_pyarrow().to_pylist()
    cards = [card for pair in pairs for card in price_cards(pair["provider"], pair["model"])]
    lines = pa.Table.from_pylist([card.as_row() for card in cards], _CARD_TABLE)
    table = con.create_table(ibis.util.gen_name("cards"), lines, temp=True)
    return _price_by_cards(rows, table.rename({f"_card_{name}": name for name in _CARD_TABLE.names}), cards)


def has_valid_tokens(rows: ibis.Table) -> ir.BooleanValue:
    """Whether a request's tokens are sound enough to be priced.

    Args:
        rows: columns of the event.
    """
    read, output = rows["input_tokens"].fill_null(0), rows["output_tokens"].fill_null(0)
    cached = rows["cache_read_tokens"].fill_null(0) + rows["cache_write_tokens"].fill_null(0)
    reported = rows["input_tokens"].notnull() | rows["output_tokens"].notnull()
    return reported & (cached <= read) & (read <= MAX_TOKENS) & (output <= MAX_TOKENS)


def is_free_failure(rows: ibis.Table) -> ir.BooleanValue:
    """Whether a request failed before it used any tokens, so that it costs nothing.

    Args:
        rows: columns of the event.
    """
    tokens = rows["input_tokens"].fill_null(0) + rows["output_tokens"].fill_null(0)
    return (rows["status"] >= FAILED_STATUS) & (tokens == 0)


def _price_by_cards(rows: ibis.Table, card_table: ibis.Table, cards: Sequence[Card]) -> ibis.Table:
    """Join each row to its card, and price it."""
    same = [rows["model"] == card_table["_card_model"], rows["provider"].identical_to(card_table["_card_provider"])]
    joined = rows.left_join(card_table, [*same, *_conditions(rows, card_table, cards)])
    list_cost = _list_cost(joined)
    cost = joined["cost"].coalesce(list_cost)
    source = ibis.cases(
        (joined["cost"].notnull(), joined["cost_source"].fill_null("reported")),
        (list_cost.notnull(), f"computed:{price_list_version()}"),
        else_=ibis.null("string"),
    )
    return joined.mutate(cost=cost, cost_source=source, list_cost=list_cost).drop(*card_table.columns)


def _conditions(rows: ibis.Table, card_table: ibis.Table, cards: Sequence[Card]) -> Iterator[ir.BooleanValue]:
    """The conditions that select one of a model's cards; those that are true of every row are left out."""
    second, tokens = epoch_seconds(rows["timestamp"]), rows["input_tokens"].fill_null(0)
    if any((card.since, card.until) != ALWAYS for card in cards):
        yield second >= card_table["_card_since"]
        yield second < card_table["_card_until"]
    if any((card.opens, card.closes) != (0, DAY) for card in cards):
        yield second % DAY >= card_table["_card_opens"]
        yield second % DAY < card_table["_card_closes"]
    if any((card.above, card.upto) != (-1, ALWAYS[1]) for card in cards):
        yield tokens > card_table["_card_above"]
        yield tokens <= card_table["_card_upto"]


def _list_cost(joined: ibis.Table) -> ir.DecimalValue:
    """What the card says that a row costs, rounded half up to the places of money."""
    counts = [joined[name].fill_null(0) for name in TOKEN_KINDS]
    pico, atto = joined["_card_request"], joined["_card_request_atto"]
    for count, slope in zip(counts, AMOUNTS[1:], strict=True):
        pico += count * joined[f"_card_{slope}"]
        atto += count * joined[f"_card_{slope}_atto"]
    nano = whole(pico + whole(atto, ATTO // PICO) + PICO // NANO // 2, PICO // NANO)
    cost = multiply(nano.cast(_WHOLE), ibis.literal(Decimal(1) / NANO, _NANO)).cast(MONEY)
    return ibis.cases(
        (joined["model"].isnull(), ibis.null(MONEY)),
        (is_free_failure(joined) & joined["_card_model"].notnull(), ibis.literal(Decimal(0), MONEY)),
        (has_valid_tokens(joined), cost),
        else_=ibis.null(MONEY),
    )
