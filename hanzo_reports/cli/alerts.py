"""Alert rules: add, list, show, remove, enable, disable, test."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hanzo_reports.cli import alert_files, channels, silences, subscriptions
from hanzo_reports.cli.options import (
    TABLE_OR_JSON,
    By,
    DocumentFormat,
    Format,
    Where,
    check_format,
    parse_pairs,
    split_words,
    store_channels,
)
from hanzo_reports.cli.output import print_note, print_rows
from hanzo_reports.errors import ReportsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanzo_reports.alerts.rule import Rule
    from hanzo_reports.deployment import Deployment

Name = Annotated[str, typer.Argument(help="A rule, as `hanzo-reports alerts list` lists it.")]
Channel = Annotated[
    list[str] | None,
    typer.Option(
        "--channel", "-c", metavar="CHANNEL", show_default=False,
        help="slack:URL, pagerduty:KEY, webhook:URL or apprise:URL, with or without NAME= before it; or the name of a "
        "channel. Repeat for more.",
    ),
]  # fmt: skip
Replace = Annotated[bool, typer.Option("--replace", help="Replace a rule of the same name.")]
Option = typer.Option
COLUMNS = ("name", "enabled", "firing", "metric", "limit", "window", "by", "channels")


def register(app: typer.Typer) -> None:
    """Adds the commands of this module, and those of channels, silences and subscriptions."""
    group = typer.Typer(no_args_is_help=True, help="Alert rules, channels, silences.", rich_markup_mode=None)
    for name, command in (
        ("add", add), ("list", list_), ("show", show), ("remove", remove), ("enable", enable), ("disable", disable),
        ("test", test), ("init-defaults", init_defaults),
    ):  # fmt: skip
        group.command(name)(command)
    for module in (alert_files, silences, subscriptions, channels):
        module.register(group)
    app.add_typer(group, name="alerts")


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Letters, digits, dots, dashes and underscores.")],
    metric: Annotated[
        str, Option("--metric", "-m", metavar="METRIC", help="A metric; `hanzo-reports metrics` lists them.")
    ],
    gt: Annotated[str, Option(metavar="LIMIT", help="Bad if greater: 0.01, 1%, 2s, $50.", show_default=False)] = "",
    gte: Annotated[str, Option(metavar="LIMIT", help="Bad if greater or equal.", show_default=False)] = "",
    lt: Annotated[str, Option(metavar="LIMIT", help="Bad if less.", show_default=False)] = "",
    lte: Annotated[str, Option(metavar="LIMIT", help="Bad if less or equal.", show_default=False)] = "",
    slo: Annotated[
        str, Option(metavar="SHARE", help="Instead of a limit: an objective such as 99.9%, for burn-rate rules.")
    ] = "",
    window: Annotated[str, Option(metavar="TIME", help="The time that each evaluation covers.")] = "5m",
    for_: Annotated[str, Option("--for", metavar="TIME", help="How long it must be bad before it fires.")] = "0",
    keep_firing_for: Annotated[str, Option(metavar="TIME", help="How long it must be good to resolve.")] = "0",
    clear: Annotated[
        str, Option(metavar="LIMIT", help="The limit for good again; default: the limit.", show_default=False)
    ] = "",
    min_samples: Annotated[int, Option(metavar="N", help="Fewer requests than this count as no data.")] = 0,
    no_data: Annotated[
        str, Option(metavar="WHAT", help="Without data: keep (the state), alert (notify) or ok (good).")
    ] = "keep",
    by: By = None,
    where: Where = None,
    repeat: Annotated[str, Option(metavar="TIME", help="The time between reminders while it fires; 0: none.")] = "4h",
    severity: Annotated[str, Option(metavar="WORD", help="critical, warning or info.")] = "warning",
    runbook: Annotated[str, Option(metavar="URL", help="A link to show in messages.", show_default=False)] = "",
    channel: Channel = None,
    *,
    replace: Replace = False,
) -> None:
    """Add a rule on a metric, or with --slo the burn-rate rules of an objective."""
    from hanzo_reports.alerts.parse import parse_rule
    from hanzo_reports.alerts.presets import build_burn_rate_rules
    from hanzo_reports.parse_values import parse_amount
    from hanzo_reports.units import Unit

    limits = {"gt": gt, "gte": gte, "lt": lt, "lte": lte, "clear": clear}
    fields: dict[str, Any] = {
        "window": window, "for": for_, "keep_firing_for": keep_firing_for, "min_samples": min_samples,
        "no_data": no_data, "by": split_words(by or ()), "where": parse_pairs(where or (), "--where"),
        "repeat": repeat, "severity": severity, "runbook": runbook,
        **{field: text for field, text in limits.items() if text},
    }  # fmt: skip
    if slo:
        rules = build_burn_rate_rules(name, metric, parse_amount(slo, "the objective", Unit.SHARE), fields)
    else:
        rules = [parse_rule({"name": name, "metric": metric, **fields})]
    _save(context.obj.deployment, rules, channel or (), replace=replace)
    if not channel:
        print_note("No --channel, so nobody is notified; `alerts list` and `alerts show` show the state of the rule")


def list_(context: typer.Context, format_: Format = "table") -> None:
    """List the rules, and how many of their alerts fire."""
    check_format(format_)
    from hanzo_reports.alerts.rule_store import list_rules
    from hanzo_reports.alerts.state_store import count_firing

    with context.obj.deployment.engine.connect() as connection:
        firing, stored_rules = count_firing(connection), list_rules(connection)
    rows = [
        {
            **stored.rule.to_dict(), "limit": stored.rule.breach_text, "enabled": stored.enabled,
            "by": ",".join(stored.rule.by), "firing": firing.get(stored.rule_id, 0),
            "channels": ",".join(stored.rule.channels),
        }
        for stored in stored_rules
    ]  # fmt: skip
    if format_ == "csv":
        rows = [{name: row.get(name) for name in COLUMNS} for row in rows]
    print_rows(rows, format_, COLUMNS)


def show(context: typer.Context, name: Name, format_: DocumentFormat = "table") -> None:
    """Show a rule: its definition, its channels, and the state of each group."""
    check_format(format_, TABLE_OR_JSON)
    from hanzo_reports.alerts.rule_store import get_rule
    from hanzo_reports.alerts.state_store import describe_groups
    from hanzo_reports.delivery.endpoints import list_endpoints

    with context.obj.deployment.engine.connect() as connection:
        stored = get_rule(connection, name)
        endpoints = [row for row in list_endpoints(connection) if row["endpoint_id"] in stored.endpoints]
        groups = describe_groups(connection, stored.rule_id)
    fields = {
        **stored.rule.to_dict(), "limit": stored.rule.breach_text, "enabled": stored.enabled, "rule_id": stored.rule_id,
        "channels": [f"{row['name']}: {row['kind']} {row['label']}" for row in endpoints],
        "groups": {
            group: state for group, state in groups.items() if group and set(json.loads(group)) == set(stored.rule.by)
        },
    }  # fmt: skip
    if format_ == "json":
        print_rows([fields], "json", tuple(fields))
        return
    rows = [
        {"field": field, "value": json.dumps(value) if isinstance(value, dict) else value}
        for field, value in fields.items()
    ]
    print_rows(rows, "table", ("field", "value"))


def remove(context: typer.Context, name: Name) -> None:
    """Remove a rule, and resolve its alerts."""
    from hanzo_reports.alerts.rule_store import remove_rule

    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        message_count = remove_rule(connection, name, deployment.now(), deployment.message_context)
    print_note(f"{name}: removed; {message_count} messages to send")


def enable(context: typer.Context, name: Name) -> None:
    """Evaluate a rule again."""
    _set_enabled(context.obj.deployment, name, enabled=True)
    print_note(f"{name}: enabled")


def disable(context: typer.Context, name: Name) -> None:
    """Stop evaluating a rule, and resolve its alerts."""
    message_count = _set_enabled(context.obj.deployment, name, enabled=False)
    print_note(f"{name}: disabled; {message_count} messages to send")


def test(context: typer.Context, name: Name) -> None:
    """Send a marked test message to the channels of a rule, now."""
    from hanzo_reports.alerts.messages import build_test_notice
    from hanzo_reports.alerts.rule_store import get_rule
    from hanzo_reports.delivery.admin import list_messages
    from hanzo_reports.delivery.outbox import enqueue

    deployment = context.obj.deployment
    with deployment.engine.connect() as connection:
        stored = get_rule(connection, name)
    if not stored.endpoints:
        msg = f"the rule {name!r} has no channel; add one: hanzo-reports alerts add {name} ... --channel X --replace"
        raise UsageError(msg)
    now = deployment.now()
    for over in (False, True):
        notice = build_test_notice(stored.rule_id, stored.rule, now, over=over)
        with deployment.engine.begin() as connection:
            enqueue(connection, [(notice, stored.endpoints)], now)
        for failure in deployment.deliver().failures:
            print_note(failure)
    columns = ("channel", "kind", "state", "last_status", "last_error")
    with deployment.engine.connect() as connection:
        results = {
            tuple(row[column] for column in columns)
            for row in list_messages(connection, limit=1000)
            if row["thread"] == f"{stored.rule_id}|test" and row["episode"] == int(now.timestamp())
        }
    print_rows([dict(zip(columns, row, strict=True)) for row in sorted(results, key=str)], "table", columns)
    if failed := sorted({channel for channel, _, state, *_ in results if state != "sent"}):
        msg = f"a test message did not arrive at {', '.join(failed)}; `hanzo-reports outbox list` shows why"
        raise ReportsError(msg)


def init_defaults(context: typer.Context, channel: Channel = None, *, replace: Replace = False) -> None:
    """Add rules with the default thresholds of errors, availability, latency and saturation."""
    from hanzo_reports.alerts.presets import build_default_rules

    _save(context.obj.deployment, build_default_rules(), channel or (), replace=replace)


def _save(deployment: "Deployment", rules: "Sequence[Rule]", channels: "Sequence[str]", *, replace: bool) -> None:
    from hanzo_reports.alerts.rule_store import save_rules

    with deployment.engine.begin() as connection:
        endpoint_ids = store_channels(deployment, connection, dict.fromkeys(channels), literal=True)
        changed = save_rules(
            connection, [(rule, endpoint_ids) for rule in rules], deployment.now(), replace_existing=replace
        )
    for rule in rules:
        outcome = "kept" if rule.name in changed else "exists already"
        print_note(f"{rule.name}: {rule.metric} {rule.breach_text} over {rule.to_dict()['window']}, {outcome}")


def _set_enabled(deployment: "Deployment", name: str, *, enabled: bool) -> int:
    from hanzo_reports.alerts.rule_store import set_rule_enabled

    with deployment.engine.begin() as connection:
        return set_rule_enabled(connection, name, deployment.now(), deployment.message_context, enabled=enabled)
