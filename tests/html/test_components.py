"""Parts of a page: their forms for Jupyter and for the runner."""

from __future__ import annotations

import json

from hanzo_reports.formats import describe_change
from hanzo_reports.html.components import MIME, Part, render_fragment
from hanzo_reports.metrics.catalog import CATALOG


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
    html = render_fragment(
        "ranking", title="<b>", subtitle="&", rows=[row | {"change": describe_change(1, 1, CATALOG["cost"].direction)}]
    )
    assert "&lt;img src=x onerror=&#34;1&#34;&gt;&amp;" in html
    assert "<img" not in html
    assert "<b>" not in html
