"""What engines differ in: money's quotient, floats as money, small tables; tests/parity has the engines themselves."""

from decimal import ROUND_FLOOR, Decimal, localcontext

import ibis
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from hanzo_reports.metrics.dialect import money, quotient, small_table

MONEY = pa.decimal128(38, 9)
BILLIONTH = Decimal("0.000000001")
PAIR = st.tuples(
    st.one_of(st.none(), st.decimals(-(10**9), 10**9, places=9)),
    st.one_of(st.none(), st.integers(0, 9), st.integers(1, 10**15)),
)


def by_hand(above, below):
    """Half up, in Python's own decimals."""
    if above is None or not below:
        return None
    with localcontext(prec=60):
        return (above / below + BILLIONTH / 2).quantize(BILLIONTH, ROUND_FLOOR)


@settings(max_examples=40, deadline=None)
@given(st.lists(PAIR, min_size=1, max_size=200))
def test_a_quotient_of_money_is_exact_to_the_last_digit(pairs):
    above, below = zip(*pairs, strict=True)
    table = ibis.memtable(pa.table({"a": pa.array(above, MONEY), "b": pa.array(below, pa.int64())}))
    assert table.select(q=quotient(table.a, table.b)).to_pyarrow()["q"].to_pylist() == [by_hand(*p) for p in pairs]


def test_a_tie_that_floats_get_wrong():
    costs = pa.array([Decimal("16.334895675"), BILLIONTH, Decimal(-1)], MONEY)
    table = ibis.memtable(pa.table({"a": costs, "b": [2, 2, 3]}))
    facts = table.select(q=quotient(table.a, table.b)).to_pyarrow()["q"].to_pylist()
    assert facts == [Decimal("8.167447838"), BILLIONTH, Decimal("-0.333333333")]


def test_floats_as_money():
    table = ibis.memtable(pa.table({"x": [0.1, 2.5e-10, 5e-10, -1.25, 123456.789012345, None]}))
    assert table.select(m=money(table.x)).to_pyarrow()["m"].to_pylist() == [
        Decimal("0.1"), Decimal(0), BILLIONTH, Decimal("-1.25"), Decimal("123456.789012345"), None,
    ]  # fmt: skip


def test_a_small_table_is_the_same_on_clickhouse():
    import clickhouse_connect  # noqa: PLC0415  # slow to load

    rows = [("a", 0.1, 1), (None, 2.5e-06, None), ("it's; \\x", 1 / 3, -(2**62)), ("é", 5e-324, 0)]
    types = {"name": "string", "f": "float64", "n": "int64"}
    with clickhouse_connect.get_client(dsn="chdb://memory") as client:
        client.command("CREATE TABLE one (x Int8) ENGINE = Memory")
        events = ibis.clickhouse.from_connection(client).table("one")
        local = ibis.duckdb.connect().create_table("one", schema=events.schema())
        for some in (rows, rows[:1], []):
            sent = client.query_arrow(events.get_backend().compile(small_table(some, types, events)))
            facts = small_table(some, types, local).to_pyarrow()
            assert sent.to_pylist() == facts.to_pylist() == [dict(zip(types, row, strict=True)) for row in some]
        client.command("DROP TABLE one")
