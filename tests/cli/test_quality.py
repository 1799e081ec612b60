"""Guard, bill and quarantine on the command line."""

from __future__ import annotations

import json
import re

import pytest

HEADER = "event_id,timestamp,service,project,model,status,input_tokens,output_tokens,cache_read_tokens\n"
GOOD = "a1,2026-03-30T10:00:00Z,gateway,search,gpt-4o,200,1000,100,0\n"
FUTURE = "a2,2026-04-02T10:00:00Z,gateway,search,gpt-4o,200,1000,100,0\n"
NEVER = "a3,never,gateway,search,gpt-4o,200,1000,100,0\n"


def load(cli, tmp_path, *lines, **options):
    (tmp_path / "log.csv").write_text(HEADER + "".join(lines))
    return cli("ingest", "events", tmp_path / "log.csv", *options.pop("extra", ()), store=tmp_path / "w", **options)


def test_the_guard_prints_and_records_its_verdict(cli, tmp_path):
    load(cli, tmp_path, GOOD)
    (verdict,) = json.loads(cli("guard", "events", "-f", "json", store=tmp_path / "w").stdout)
    assert (verdict["suite"], verdict["status"], verdict["rows"], verdict["quarantined"]) == ("events", "passed", 1, 0)
    stored = list((tmp_path / "w/quality/events-store").glob("*.json"))
    assert [json.loads(path.read_text())["status"] for path in stored] == ["passed"]
    answer = cli("guard", "events", store=tmp_path / "w")
    assert "events.timestamp_not_future" in answer.stdout
    assert "events: passed, 1 rows, 0 bad" in answer.stderr


def test_untrusted_data_has_exit_code_3(cli, tmp_path):
    load(cli, tmp_path, GOOD)
    result = cli("guard", store=tmp_path / "w", now="2026-05-01T00:00:00Z", code=3)
    assert re.search(r"the data cannot be trusted: .*daily\.fresh", result.stderr)
    assert "rollup: skipped, no rollups are kept yet" in result.stderr
    assert "bill: skipped, no bill is loaded" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_page_without_network(cli, tmp_path):
    load(cli, tmp_path, GOOD)
    page = cli("guard", "events", "-f", "html", store=tmp_path / "w").stdout
    assert page.startswith("<!doctype html>")
    assert "no event is from the future" in page
    assert not re.search(r"(src|href)=\"http", page)


def test_a_usage_error_is_reported_before_any_work(cli, tmp_path):
    load(cli, tmp_path, GOOD)
    store = tmp_path / "w"
    assert "did you mean 'events'" in cli("guard", "evnts", store=store, code=2).stderr
    assert "unknown format 'htm'" in cli("guard", "-f", "htm", store=store, code=2).stderr
    own = tmp_path / "own.yaml"
    own.write_text("expectations: [{type: expect_table_row_count_to_equal, kwargs: {value: $rows}}]")
    assert "--set rows=VALUE" in cli("guard", own, store=store, code=2).stderr
    assert "observed 1" in cli("guard", own, "--set", "rows=1", store=store).stdout
    assert "own.table_row_count_to_equal" in cli("guard", own, "--set", "rows=2", store=store, code=3).stderr


def test_the_quarantine_is_counted_shown_exported_and_released(cli, tmp_path):
    store = tmp_path / "w"
    loaded = load(cli, tmp_path, GOOD, FUTURE, NEVER)
    assert "quarantined: 1 x guard timestamp_not_future: no event is from the future" in loaded.stderr
    counted = json.loads(cli("quarantine", "list", "-f", "json", store=store).stdout)
    assert {row["reason"]: row["rows"] for row in counted} == {
        "guard timestamp_not_future: no event is from the future": 1,
        "timestamp: … is not a time, or outside 1970..2199": 1,
    }
    shown = json.loads(cli("quarantine", "show", "--reason", "guard", "-f", "json", store=store).stdout)
    assert [row["row"] for row in shown] == [2]
    assert "2 rows" in cli("quarantine", "export", "-o", tmp_path / "q.csv", store=store).stderr
    assert len((tmp_path / "q.csv").read_text().splitlines()) == 3
    (result,) = json.loads(cli("quarantine", "release", "-f", "json", store=store, now="2026-04-03T00:00:00Z").stdout)
    assert result == {"checked": 2, "released": 1, "accepted": 1, "duplicates": 0, "kept": 1}
    assert "1 rows in quarantine" in cli("quarantine", "list", store=store).stderr
    assert "1,001" not in cli("usage", "-r", "all", store=store).stdout
    answer = json.loads(cli("usage", "-r", "2026-03-01..2026-04-30", "-f", "json", store=store).stdout)
    assert answer["summary"]["total_requests"] == 2


def test_rows_are_accepted_on_the_record_and_the_guard_names_who_and_why(cli, tmp_path):
    store = tmp_path / "w"
    load(cli, tmp_path, GOOD, GOOD.replace("a1", "a2").replace("100,0", "100,5000"))
    stays = cli("quarantine", "release", store=store).stderr
    assert "1 rows stay: guard cache_within_input: " in stays
    assert "--accept CHECK --because TEXT" in stays
    assert (
        "belong together" in cli("quarantine", "release", "--accept", "cache_within_input", store=store, code=2).stderr
    )
    accept = ("--accept", "cache_within_input", "--because", "writes [red]apart[/red]", "--by", "maria")
    released = cli("quarantine", "release", *accept, "-f", "json", store=store)
    assert json.loads(released.stdout) == [{"checked": 1, "released": 1, "accepted": 1, "duplicates": 0, "kept": 0}]
    assert "1 rows are accepted in spite of cache_within_input" in released.stderr
    checked = cli("guard", "events", store=store)
    assert "1 accepted by maria on 2026-03-31: writes [red]apart[/red]" in re.sub(r"\s+", " ", checked.stdout)
    (verdict,) = json.loads(cli("guard", "events", "-f", "json", store=store).stdout)
    (check,) = [check for check in verdict["checks"] if check["state"] == "accepted"]
    assert (check["id"], check["accepted"][0]["by"]) == ("cache_within_input", "maria")
    assert "accepted by maria" in cli("guard", "events", "-f", "html", store=store).stdout


def test_the_money_at_stake_is_reported(cli, tmp_path):
    (tmp_path / "log.csv").write_text(
        f"{HEADER.strip()},cost\n{GOOD.strip()},0.0035\na4,2026-03-30T10:00:00Z,gateway,search,gpt-4o,200,1000,100,0,3500\n"
    )
    answer = cli("ingest", "events", tmp_path / "log.csv", store=tmp_path / "w").stderr
    assert re.search(r"quarantined: 1 x guard cost_not_absurd: .*; \$3,500\.00 at stake\n", answer)


def test_no_guard_accepts_every_event(cli, tmp_path):
    load(cli, tmp_path, GOOD, FUTURE, extra=["--no-guard"])
    (facts,) = json.loads(cli("doctor", "-f", "json", store=tmp_path / "w").stdout)
    assert (facts["events"], facts["quarantined"]) == (2, 0)


def test_a_load_that_fails_a_custom_suite_accepts_nothing(cli, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("expectations: [{type: expect_table_row_count_to_be_between, kwargs: {min_value: 5}}]")
    result = load(cli, tmp_path, GOOD, extra=["--guard", own], code=3)
    assert "nothing is accepted" in result.stderr
    assert json.loads(cli("doctor", "-f", "json", store=tmp_path / "w").stdout)[0]["events"] == 0


def test_a_bill_beside_computed_spend(cli, tmp_path):
    load(cli, tmp_path, GOOD.replace("gateway", "gateway"))
    head = "BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ProviderName,ServiceName,x_Model\n"
    bill = tmp_path / "bill.csv"
    bill.write_text(f"{head}0.0035,USD,2026-03-30T00:00:00Z,2026-03-31T00:00:00Z,OpenAI,API,gpt-4o\n")
    result = cli("bill", bill, "-f", "json", store=tmp_path / "w")
    (row,) = json.loads(result.stdout)
    assert (row["model"], float(row["cost"]), float(row["billed_cost"])) == ("gpt-4o", 0.0035, 0.0035)
    assert "bill: passed, tolerance 1.00%" in result.stderr
    answer = cli("bill", store=tmp_path / "w").stdout
    assert "0.0035" in answer
    assert not re.search(r"\dE-\d", answer + result.stdout)
    bill.write_text(f"{head}9.5,USD,2026-03-30T00:00:00Z,2026-03-31T00:00:00Z,OpenAI,API,gpt-4o\n")
    off = cli("bill", bill, store=tmp_path / "w", code=3)
    assert "$9.50 at stake" in off.stderr
    assert "bill.cost_matches" in off.stderr
    assert "no such file" in cli("bill", tmp_path / "none.csv", store=tmp_path / "w", code=1).stderr


def test_a_bill_without_a_range_is_compared_to_its_last_hour(cli, tmp_path):
    load(cli, tmp_path, GOOD)
    head = "BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ProviderName,x_Model\n"
    bill = tmp_path / "bill.csv"
    bill.write_text(f"{head}0.0035,USD,2026-03-30T08:00:00Z,2026-03-30T12:00:00Z,OpenAI,gpt-4o\n"
                    "500,USD,2026-03-31T00:00:00Z,2026-03-31T06:00:00Z,OpenAI,gpt-4o\n")  # fmt: skip
    whole = cli("bill", bill, store=tmp_path / "w", code=3)
    assert "2026-03-31" in whole.stdout
    assert "$500.00 at stake" in whole.stderr
    assert "left out" not in whole.stderr
    part = cli("bill", "--range", "2026-03-30..2026-03-31T06:00:00Z", store=tmp_path / "w")
    assert "left out: 1 lines of bills (500.00 USD) for days that the range holds only a part of" in part.stderr


def test_charges_as_focus(cli, tmp_path):
    load(cli, tmp_path, GOOD)
    result = cli("export", "-f", "focus", "-r", "7d", "-o", tmp_path / "focus.csv", store=tmp_path / "w")
    assert "1 rows" in result.stderr
    assert (
        "leave out metrics"
        in cli("export", "-f", "focus", "--by", "model", "-o", "x", store=tmp_path / "w", code=2).stderr
    )


def test_an_unknown_suite_parameter_is_answered_with_the_nearest_name(cli, tmp_path):
    load(cli, tmp_path, GOOD)
    store = tmp_path / "w"
    result = cli("guard", "daily", "--set", "max_silence_hour=5", store=store, code=2)
    assert "unknown parameter 'max_silence_hour'" in result.stderr
    assert "did you mean 'max_silence_hours'?" in result.stderr
    for name in ("range", "self", "suite"):
        assert f"unknown parameter {name!r}" in cli("guard", "--set", f"{name}=5", store=store, code=2).stderr


def test_a_load_that_the_guard_rejects_says_so(cli, tmp_path):
    result = load(cli, tmp_path, FUTURE, NEVER, code=1)
    assert "none of the 2 rows is accepted, 1 of them rejected by the guard" in result.stderr
    answer = cli("quarantine", "release", "--source", "events", "--map", "nosuch.toml", store=tmp_path / "w", code=2)
    assert "nosuch.toml" in answer.stderr


@pytest.mark.parametrize("arguments", [("bill",), ("guard",), ("quarantine", "list"), ("quarantine", "show"),
                                     ("quarantine", "export", "-o", "q.csv"), ("quarantine", "release")])  # fmt: skip
def test_a_folder_without_a_store_says_how_to_create_one(cli, tmp_path, arguments):
    message = cli(*arguments, store=tmp_path / "none", code=1).stderr
    assert re.search(r"No store at .*none\. Create one with `hanzo-reports init`", message)
    assert not (tmp_path / "none").exists()
