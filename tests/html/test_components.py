"""Parts: numbers as a page shows them, and their forms for Jupyter and for the runner."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from hanzo_reports.formats import (
    describe_change,
    format_difference,
    format_relative_change,
    format_short,
    format_value,
    relative_change,
)
from hanzo_reports.html.components import MIME, Part, fragment
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.units import Unit


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0, Unit.REQUESTS, "0"),
        (999, Unit.REQUESTS, "999"),
        (183_612, Unit.REQUESTS, "183.6K"),
        (78_081_234, Unit.TOKENS, "78.08M"),
        (1_000_000_000, Unit.TOKENS, "1.000B"),
        (Decimal("327.238"), Unit.USD, "$327.24"),
        (Decimal("0.000421"), Unit.USD, "$0.00042"),
        (Decimal(0), Unit.USD, "$0.00"),
        (Decimal(1_234_567), Unit.USD, "$1.235M"),
        (Decimal("-6.11"), Unit.USD, "\N{MINUS SIGN}$6.11"),
        (317.2, Unit.MILLISECONDS, "317 ms"),
        (7.31, Unit.MILLISECONDS, "7.3 ms"),
        (12_345.0, Unit.MILLISECONDS, "12.3 s"),
        (0.00712, Unit.SHARE, "0.71%"),
        (None, Unit.USD, "\N{EN DASH}"),
    ],
)
def test_a_number_is_short(value, unit, shown):
    assert format_short(value, unit) == shown


def test_a_table_keeps_the_digits():
    assert format_value(183_612, Unit.REQUESTS, "table") == "183,612"
    assert format_value(Decimal("1234.5"), Unit.USD, "table") == "$1,234.50"
    assert format_value(None, Unit.REQUESTS, "table") == "\N{EN DASH}"


def test_a_difference_has_a_sign():
    assert (format_difference(Decimal("1.69"), Unit.USD), format_difference(-163, Unit.REQUESTS)) == (
        "+$1.69",
        "\N{MINUS SIGN}163",
    )
    assert (format_relative_change(0.0191), format_relative_change(-0.5), format_relative_change(11.5)) == (
        "+1.9%",
        "\N{MINUS SIGN}50.0%",
        "\N{MULTIPLICATION SIGN}12.5",
    )


def test_nothing_to_compare_with_gives_no_share():
    assert relative_change(5, 0) is None
    assert relative_change(5, None) is None
    assert relative_change(None, 5) is None
    assert relative_change(Decimal("3.3"), Decimal(3)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("metric", "now", "before", "text", "tone"),
    [
        ("cost", 104, 100, "↑ 4.0%", "even"),  # too little for a colour
        ("cost", 106, 100, "↑ 6.0%", "bad"),
        ("cost", 94, 100, "↓ 6.0%", "good"),
        ("availability", 0.5, 1.0, "↓ 50.0%", "bad"),
        ("requests", 200, 100, "↑ 100.0%", "even"),  # more is neither good nor bad
        ("cost", 100, 100, "±0%", "even"),
        ("cost", 100, 0, "new", "even"),
        ("latency_p99", None, 100, "", "even"),
    ],
)
def test_a_change_is_coloured_by_the_direction_of_its_metric(metric, now, before, text, tone):
    found = describe_change(now, before, CATALOG[metric].direction)
    assert (found.text, found.tone) == (text, tone)


def test_a_part_shows_itself_in_every_form():
    variants = {"24h": {"html": "<p>day</p>", "text": "day"}, "7d": {"html": "<p>week</p>", "text": "week"}}
    bundle = Part("notes", "What changed", variants, facts={"kpis": {"24h": {"cost": "1.5"}}})._repr_mimebundle_()
    assert "<p>day</p>" in bundle["text/html"]
    assert "week" not in bundle["text/html"]
    assert "<style>" in bundle["text/html"]
    assert bundle["text/plain"] == "What changed\nday"
    twin = json.loads(json.dumps(bundle[MIME]))
    assert (twin["kind"], twin["width"], twin["variants"]["7d"]["text"]) == ("notes", "full", "week")
    assert twin["kpis"] == {"24h": {"cost": "1.5"}}


def test_what_users_wrote_is_escaped():
    row = {"name": '<img src=x onerror="1">&', "vague": False, "bar": "5", "share": "1%", "value": "1", "exact": "1"}
    html = fragment(
        "ranking", title="<b>", subtitle="&", rows=[row | {"change": describe_change(1, 1, CATALOG["cost"].direction)}]
    )
    assert "&lt;img src=x onerror=&#34;1&#34;&gt;&amp;" in html
    assert "<img" not in html
    assert "<b>" not in html
