"""The public surface is typed: mypy accepts right calls in a user's script and refuses wrong ones."""

from __future__ import annotations

import re
from pathlib import Path

from mypy import api

ROOT = Path(__file__).parents[1]
SCRIPT = """
import datetime as dt
from decimal import Decimal
from pathlib import Path

import hanzo_reports as hr

ws = hr.open(Path("warehouse"), timezone="Europe/Berlin", now=dt.datetime.now(dt.UTC))
window: hr.Window = ws.window("7d")
result: hr.Result = ws.usage(range=window, metrics=["cost"], by=["model"], every="day", where={"status": [200, 429]})
ws.usage(every=hr.Grain.DAY, where={"project": None}, top=3)
ws.costs("mtd", by=("model", "project"), top=10)
ws.health("7d", {"error_rate", "latency_p99"}, every="hour")
ws.comparison("7d", ["cost"], by=["model"], where={"model": "gpt-4o"}, top=5)
ws.movers("24h", "cost", ["model"], top=3)
ws.forecasts(["project"], limits={("search",): Decimal(5)})
ws.anomalies(["project"], 30, score=4.0, stake=Decimal(2))
ws.decision("search", "0.37", event_id="a", hold=dt.timedelta(minutes=5))
ws.ingest("litellm", ["spend.jsonl"], constants={"project": "search"})
ws.release(source="litellm", ids=["a"], suite="events")
rows: int = ws.export("out.csv", "csv", "7d", by=["model"])
ws.guard("daily", "7d", max_silence_hours="5")
ws.report("dashboard", out="reports", days=7)
hr.usage(ws.events, window, by=["model"], every="day")
hr.costs(ws.events, window, ["cost"], top=3)
hr.health(ws.events, window, where={"status": 500})
hr.comparison(ws.events, window, ["cost"], by=["model"])
hr.movers(ws.events, window, "cost", ["model"], top=3)
version: str = hr.__version__

ws.usage(7)  # refused: arg-type
ws.usage("7d", by=3)  # refused: arg-type
ws.usage("7d", evry="day")  # refused: call-arg
ws.usage("7d", every=1)  # refused: arg-type
ws.usage("7d", where=["model"])  # refused: arg-type
ws.usage("7d", top="ten")  # refused: arg-type
ws.costs("7d", metrics=5)  # refused: arg-type
ws.health("7d", tops=1)  # refused: call-arg
ws.comparison("7d", ["cost"], every="day")  # refused: call-arg
ws.movers("7d", "cost", 5)  # refused: arg-type
ws.anomalies(scor=3)  # refused: call-arg
ws.decision("search", "0.37", hold=600)  # refused: arg-type
ws.release(sourc="a")  # refused: call-arg
ws.export("out.csv", by=5)  # refused: arg-type
ws.guard("daily", "7d", max_silence_hours=5)  # refused: arg-type
hr.usage(ws.events, "7d")  # refused: arg-type
hr.usage(ws.events, window, evry="day")  # refused: call-arg
hr.movers(ws.events, window, "cost", 3)  # refused: arg-type
hr.open(5)  # refused: arg-type
"""


def test_right_calls_are_accepted_and_wrong_ones_refused(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    config = str(ROOT / "pyproject.toml")
    output, errors, _ = api.run(
        ["--config-file", config, "--cache-dir", str(ROOT / ".mypy_cache"), "--no-pretty", str(script)]
    )
    errors_found = re.findall(r"^\S+script\.py:(\d+): error: .*\[([\w-]+)\]$", output, re.MULTILINE)
    reported = {int(line): code for line, code in errors_found}
    lines = enumerate(SCRIPT.splitlines(), 1)
    expected = {n: line.partition("# refused: ")[2] for n, line in lines if "# refused: " in line}
    assert errors == ""
    assert reported == expected, output
