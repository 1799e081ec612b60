"""Questions to a workspace, and the forms of their results."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import ibis
import numpy as np
import pyarrow.parquet as pq
import pytest

import hanzo_reports as hr
from hanzo_reports.errors import StoreError, UnknownNameError, UsageError, WindowError

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def test_a_result_is_what_the_function_gives_on_the_events(workspace):
    result = workspace.usage(range="7d", by=["model"])
    direct = hr.usage(workspace.events, workspace.window("7d"), by=["model"])
    assert result.rows() == direct.to_pyarrow().to_pylist()
    assert len(result) == len(result.rows()) > 3


def test_all_is_every_event(workspace):
    count = workspace.events.count().to_pyarrow().as_py()
    assert workspace.usage("all", ["requests"]).rows() == [{"requests": count}]
    assert workspace.usage("2026-03-01..2026-04-30", ["requests"]).rows() == [{"requests": count}]


def test_an_empty_store_has_no_traffic_and_no_error_rate(tmp_path):
    empty = hr.open(str(tmp_path / "new"), now=NOW, create=True)
    assert empty.window("all").start == empty.window("all").end == NOW
    assert empty.health("all", ["requests", "error_rate"]).rows() == [{"requests": 0, "error_rate": None}]
    assert empty.condition()["last_event"] is None


def test_the_summary_is_over_all_rows_that_pass_the_filter(workspace):
    by_model = workspace.usage("7d", by=["model"], top=1)
    whole = workspace.usage("7d").rows()[0]
    assert by_model.summary == {
        "total_requests": whole["requests"],
        "total_tokens": whole["tokens"],
        "total_cost": whole["cost"],
        "unpriced_requests": 857,
    }
    assert isinstance(whole["cost"], Decimal)
    one = workspace.usage("7d", where={"project": "platform"})
    assert one.summary["total_requests"] == one.rows()[0]["requests"] < whole["requests"]


def test_a_comparison_includes_the_previous_period(workspace):
    row = workspace.comparison("24h", ["requests"]).rows()[0]
    before = workspace.usage(workspace.window("24h").previous(), ["requests"]).rows()[0]
    assert row["requests_previous"] == before["requests"] > 0


def test_movers_add_up(workspace):
    total = workspace.comparison("24h", ["cost"]).rows()[0]["cost_change"]
    moved = workspace.movers("24h", "cost", ["project"], top=2)
    assert sum(row["contribution"] for row in moved.rows()) == total
    assert "$" in repr(moved)


def test_json_and_csv_say_the_same(workspace, tmp_path):
    result = workspace.usage("7d", by=["project"])
    answer = json.loads(result.to_json(), parse_float=Decimal)
    assert answer["window"] == {"start": "2026-03-24T12:00:00Z", "end": "2026-03-31T12:00:00Z", "timezone": "UTC"}
    assert [Decimal(row["cost"]) for row in answer["data"]] == [row["cost"] for row in result.rows()]
    read = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert [(row["project"], Decimal(row["cost"])) for row in read] == [
        (row["project"], row["cost"]) for row in result.rows()
    ]
    assert result.to_csv(tmp_path / "a.csv") is None
    assert (tmp_path / "a.csv").read_text() == result.to_csv()


def test_a_result_shows_itself(workspace):
    result = workspace.usage("7d", ["requests", "cost", "error_rate", "latency_p50"], by=["model", "project"])
    text, page = repr(result), result._repr_html_()
    for shown in ("claude", "$", "%", "ms", "2026-03-24T12:00:00Z to 2026-03-31T12:00:00Z"):
        assert shown in text
        assert shown in page
    assert page.count("<tr>") == min(len(result), 40) + 1


def test_a_result_escapes_what_users_wrote(workspace):
    events = workspace.events.mutate(model=ibis.literal("<b>&"))
    window = workspace.window("7d")
    page = hr.Result(hr.usage(events, window, by=["model"]), window, dict)._repr_html_()
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page


def test_pandas_and_arrow_have_the_same_rows(workspace):
    result = workspace.usage("7d", by=["model"])
    assert list(result.to_pandas()["cost"]) == [row["cost"] for row in result.to_pyarrow().to_pylist()]


def test_exported_events_can_be_loaded_again(workspace, tmp_path):
    file = tmp_path / "events.parquet"
    rows = workspace.export(file, "parquet", "24h")
    assert rows == pq.read_table(file).num_rows == workspace.usage("24h", ["requests"]).rows()[0]["requests"]
    again = hr.open(str(tmp_path / "again"), now=NOW, create=True)
    loaded = again.ingest("events", [file])
    assert (loaded.accepted, loaded.quarantined) == (rows, 0)
    assert again.usage("24h", by=["model"]).rows() == workspace.usage("24h", by=["model"]).rows()


def test_the_condition_of_a_store_has_counts_and_instants(workspace):
    facts = workspace.condition()
    assert facts["events"] == workspace.events.count().to_pyarrow().as_py()
    assert facts["synthetic"]
    assert 0 <= facts["seconds_since_last_event"] < 3600
    assert (facts["loads"], facts["quarantined"]) == (1, 0)


def test_a_store_is_found_in_a_folder_above(sample_store, tmp_path, monkeypatch):
    inside = sample_store.parent / "deep" / "er"
    inside.mkdir(parents=True, exist_ok=True)
    monkeypatch.delenv("HANZO_REPORTS_STORE", raising=False)
    monkeypatch.chdir(inside)
    assert hr.open(now=NOW).store.url == str(sample_store)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="No store in"):
        hr.open(now=NOW)


def test_the_environment_names_store_and_zone(sample_store, monkeypatch):
    monkeypatch.setenv("HANZO_REPORTS_STORE", str(sample_store))
    monkeypatch.setenv("HANZO_REPORTS_TZ", "Europe/Berlin")
    facts = hr.open(now="2026-03-31T14:00:00")
    assert (facts.timezone, facts.now) == ("Europe/Berlin", NOW)


def test_names_are_checked(sample_store, workspace):
    with pytest.raises(UnknownNameError, match="Europe/Berlin"):
        hr.open(str(sample_store), timezone="Europe/Berlinn")
    with pytest.raises(WindowError, match="neither a date"):
        hr.open(str(sample_store), now="yesterday-ish")
    with pytest.raises(UnknownNameError, match="'requests'"):
        workspace.usage("7d", ["request"])
    with pytest.raises(WindowError, match="unknown range"):
        workspace.usage("fortnight")
    assert workspace.window("1h").end - workspace.window("1h").start == timedelta(hours=1)


@pytest.mark.parametrize(
    ("ask", "instead"),
    [
        (lambda ws: ws.usage(7), "write '7d' for the last 7 days"),
        (lambda ws: ws.costs(timedelta(days=2)), "write '48h'"),
        (lambda ws: ws.health(date(2026, 3, 30)), "write '2026-03-30..2026-03-30'"),
        (lambda ws: ws.comparison(None), "write for example '7d'"),
        (lambda ws: ws.movers(("2026-03-01", NOW), "cost", ["model"]), r"hr\.Window\(start, end\)"),
        (lambda ws: ws.export("o.csv", "csv", 7), "write '7d'"),
        (lambda ws: ws.guard("events", 7), "write '7d'"),
        (
            lambda ws: ws.usage(metrics=5),
            r"metrics takes names, not 5; write for example metrics=\['requests', 'cost'\]",
        ),
        (lambda ws: ws.usage(metrics=["cost", 5]), r"metrics takes names, not \['cost', 5\]"),
        (lambda ws: ws.movers("7d", ["cost"], ["model"]), "write for example metric='cost'"),
        (lambda ws: ws.usage(by=3), r"by takes names, not 3; write for example by=\['model'\]"),
        (lambda ws: ws.comparison(by=[["model"]]), "by takes names"),
        (lambda ws: ws.usage(every=3), "unknown grain '3'"),
        (lambda ws: ws.usage(every=["day"]), "unknown grain"),
        (lambda ws: ws.usage(where=["model"]), r"write for example where=\{'model': 'gpt-4o'\}"),
        (lambda ws: ws.usage(where={3: "a"}), r"where=\{'model': 'gpt-4o'\}"),
        (lambda ws: ws.costs(where={"model": {"a": 1}}), r"where model=\{'a': 1\}: give text, a whole number"),
        (lambda ws: ws.usage(by=["model"], top="ten"), "write for example top=10"),
        (lambda ws: ws.comparison(by=["model"], top=1.5), "write for example top=10"),
        (lambda ws: ws.movers("7d", "cost", ["model"], top="ten"), "write for example top=10"),
        (
            lambda ws: hr.usage(ws.usage().to_pandas(), ws.window()),
            r"an Ibis table, not DataFrame; write ibis\.memtable",
        ),
        (lambda ws: hr.comparison(ws.events, "7d", ["cost"]), r"write hr\.Window\.parse\('7d', now=\.\.\.\)"),
        (lambda ws: hr.movers(ws.events, 7, "cost", ["model"]), r"write hr\.Window\.parse"),
        (lambda _: hr.open(5), r"write for example hr\.open\('warehouse'\)"),
        (lambda ws: hr.open(ws.store.url, now=5), "write for example now='2025-06-01T09:00Z'"),
        (lambda ws: hr.open(ws.store.url, now=datetime(2026, 3, 1)), "an instant with a UTC offset"),  # noqa: DTZ001
    ],
)
def test_an_argument_of_the_wrong_type_says_what_to_write_instead(workspace, ask, instead):
    with pytest.raises(UsageError, match=instead):
        ask(workspace)


def test_arguments_may_be_any_collection(workspace):
    expected = workspace.usage("7d", ["requests", "cost"], by=["model"]).rows()
    assert workspace.usage("7d", (name for name in ("requests", "cost")), by=("model",)).rows() == expected
    only = {"project": np.array(["platform"]), "status": {200, 429}}
    assert (
        workspace.usage("7d", where=only).rows()
        == workspace.usage("7d", where={"project": "platform", "status": [200, 429]}).rows()
    )


def test_a_store_may_be_named_by_a_path(sample_store):
    assert hr.open(sample_store, now=NOW).store.url == str(sample_store)


def test_a_workspace_shows_its_store_its_zone_and_its_now(sample_store):
    workspace = hr.open(sample_store, timezone="Europe/Berlin", now=NOW)
    assert repr(workspace) == f"<Workspace on {sample_store}, time zone Europe/Berlin, now 2026-03-31T12:00:00Z>"


def test_no_representation_shows_a_password(database):
    address = f"{database}{'&' if '?' in database else '?'}password=s3cret"
    workspace = hr.open(address, create=True)
    assert "s3cret" not in repr(workspace) + repr(workspace.store) + str(workspace)
    assert "postgresql://" in repr(workspace)
