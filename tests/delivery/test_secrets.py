"""Secrets planted in every place that takes one, and looked for in every place that something is written to."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import traceback
import warnings

import apprise
import pytest
from cryptography.fernet import Fernet

from hanzo_reports.delivery.admin import find_message, list_messages
from hanzo_reports.delivery.endpoints import list_endpoints, parse_channel
from hanzo_reports.delivery.worker import deliver
from hanzo_reports.errors import ReportsError

WHSEC = "whsec_UGxhbnRlZFNlY3JldFBsYW50ZWRTZWNyZXRQbGFudGVk"  # planted
PLANTED = {
    "slack": "B0PLANTEDSLACK/XXplantedslackXX",
    "pagerduty": "plantedroutingkeyplantedroutinga",
    "webhook": "planted-webhook-path",
    "signing": WHSEC.removeprefix("whsec_"),
    "apprise": "plantedjsonpath",
    "header": "planted-header-value",
}


def specs(port):
    host = f"localhost:{port}"
    return [
        f"slack:http://{host}/services/{PLANTED['slack']}",
        f"pagerduty:{PLANTED['pagerduty']}@http://{host}",
        f"webhook:http://{host}/{PLANTED['webhook']}?token={PLANTED['webhook']}#{WHSEC}",
        f"apprise:json://{host}/{PLANTED['apprise']}?+X-Token={PLANTED['header']}",
    ]


def leaks(text):
    return [kind for kind, secret in PLANTED.items() if secret in text]


@pytest.fixture
def log():
    """Everything that any logger says, at its loudest, as a process with a root handler would see it."""
    written, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(written)
    before = root.level
    root.addHandler(handler)
    for name in (None, "apprise", "httpcore", "urllib3", "requests", "sqlalchemy", "hanzo_reports"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger("apprise").addHandler(handler)
    yield written
    logging.getLogger("apprise").removeHandler(handler)
    root.removeHandler(handler)
    for name in ("apprise", "httpcore", "urllib3", "requests", "sqlalchemy", "hanzo_reports"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    root.setLevel(before)


def test_the_search_finds_what_apprise_itself_would_log(log, receiver):
    """Without our precautions its log does hold them: the test below could fail."""
    with warnings.catch_warnings(action="ignore"):
        plain = apprise.Apprise()
        plain.add(f"json://localhost:{receiver.port}/{PLANTED['apprise']}?+X-Token={PLANTED['header']}")
    plain.notify(body="x")
    assert leaks(log.getvalue())


@pytest.mark.parametrize("answers", [[], [500] * 4, [400] * 4, [(302, {"location": "/x"})] * 4])
def test_no_secret_is_logged_shown_or_kept_in_the_clear(
    post_office, notice, receiver, state_database, vault, policy, clock, log, tmp_path, answers
):
    receiver.answers = list(answers)
    ids = [post_office.endpoint(spec, ("json",)) for spec in specs(receiver.port)]
    post_office.put(notice(), to=ids)
    done = deliver(state_database, vault, policy, clock)
    assert done.sent == (0 if answers else 4)
    sent = "".join(f"{got.path} {got.headers} {got.body!r}" for got in receiver.got)
    assert set(leaks(sent)) == set(PLANTED) - {"signing"}
    with state_database.connect() as connection:
        shown = [
            list_endpoints(connection),
            *(find_message(connection, row["message_id"]) for row in list_messages(connection)),
        ]
        opened = [parse_channel(spec, policy, ("json",)) for spec in specs(receiver.port)]
    assert leaks(log.getvalue()) == []
    assert leaks(repr((shown, done, opened, vault))) == []
    for file in tmp_path.glob("state.db*"):
        assert leaks(file.read_bytes().decode("latin-1")) == []


def test_no_secret_is_in_the_traceback_of_a_channel_that_is_refused(policy):
    texts = []
    for spec in [*specs(1), f"webhook:https://10.0.0.1/{PLANTED['webhook']}#{WHSEC}", f"apprise:json://{'x' * 300}"]:
        try:
            parse_channel(f"{spec} \u00e9", policy, ())
        except ReportsError as error:
            texts.append("".join(traceback.format_exception(error)))
    assert len(texts) == 6
    assert leaks("".join(texts)) == []


def test_no_secret_is_in_a_traceback_of_what_is_kept_even_with_its_variables(
    post_office, notice, state_database, vault, policy, clock, receiver
):
    ids = [post_office.endpoint(spec, ("json",)) for spec in specs(receiver.port)]
    post_office.put(notice(), to=ids)

    def stopped():
        raise ZeroDivisionError

    texts = []
    for opens, instant in ((type(vault)(Fernet.generate_key().decode()), clock), (vault, stopped)):
        with pytest.raises((ReportsError, ZeroDivisionError)) as caught:
            deliver(state_database, opens, policy, instant)
        told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [frame for frame in told.stack if "hanzo_reports" in frame.filename]
        assert any(frame.locals for frame in frames)
        texts.append("".join(traceback.StackSummary.from_list(frames).format()))
    assert leaks("".join(texts)) == []


def test_a_report_knows_no_secret_of_a_channel(tmp_path, receiver):
    """A notebook runs on a store that has channels: neither it nor its manifest or page holds one."""
    import hanzo_reports as hr  # noqa: PLC0415  # only this test makes a report

    workspace = hr.open(str(tmp_path / "warehouse"), now="2026-03-31T12:00:00Z", create=True)
    workspace.sample(days=2, per_day=200)
    key = {"HANZO_REPORTS_SECRET_KEY": Fernet.generate_key().decode(), "HANZO_REPORTS_ALLOW_HOSTS": "localhost"}
    for spec in specs(receiver.port):
        command = [sys.executable, "-c", "from hanzo_reports.cli import main; main()"]
        store = ["--store", str(tmp_path / "warehouse"), "alerts", "channels", "add", spec]
        done = subprocess.run(
            [*command, *store], check=True, capture_output=True, text=True, env=key | {"HANZO_REPORTS_APPRISE": "json"}
        )
        assert leaks(done.stdout + done.stderr) == []
    run = workspace.report("dashboard", out=tmp_path / "reports", window="1d")
    files = [file for file in run.page.parent.rglob("*") if file.is_file()]
    assert {"manifest.json", "notebook.ipynb", "report.html"} <= {file.name for file in files}
    for file in files:
        text = file.read_bytes().decode("latin-1")
        assert leaks(text) == []
        assert key["HANZO_REPORTS_SECRET_KEY"] not in text
