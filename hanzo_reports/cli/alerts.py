"""Alert rules: made, shown, changed, tried, kept in git."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hanzo_reports.cli import channels, silences, subscriptions
from hanzo_reports.cli.ask import By, Format, Where
from hanzo_reports.cli.options import check_format, parse_pairs, split_words, store_channels
from hanzo_reports.cli.output import print_note, print_rows, print_text
from hanzo_reports.errors import ReportsError, UnreadableError, UsageError

if TYPE_CHECKING:
    import sqlalchemy

    from hanzo_reports.deployment import Deployment

Name = Annotated[str, typer.Argument(help="A rule of `hanzo-reports alerts list`.")]
Channel = Annotated[
    list[str] | None,
    typer.Option(
        "--channel",
        "-c",
        metavar="CHANNEL",
        help="slack:URL, pagerduty:KEY, webhook:URL, apprise:URL, with NAME= before it or not; or a channel's name.",
        show_default=False,
    ),
]
Replace = Annotated[bool, typer.Option("--replace", help="Change the rule if it is there already.")]
Text = typer.Option
_SHOWN = ("name", "enabled", "firing", "metric", "limit", "window", "by", "channels")


def register(app: typer.Typer) -> None:
    """The commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="Alert rules, channels, silences.", rich_markup_mode=None)
    for name, command in (
        ("add", add), ("list", list_), ("show", show), ("remove", remove), ("enable", enable), ("disable", disable),
        ("test", test), ("init-defaults", init_defaults), ("import", import_), ("export", export),
    ):  # fmt: skip
        group.command(name)(command)
    silences.register(group)
    subscriptions.register(group)
    channels.register(group)
    app.add_typer(group, name="alerts")


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Of letters, digits, dots, dashes, underscores.")],
    metric: Annotated[str, Text("--metric", "-m", metavar="METRIC", help="As `hanzo-reports metrics` lists them.")],
    gt: Annotated[str, Text(metavar="LIMIT", help="Bad above it: 0.01, 1%, 2s, $50.", show_default=False)] = "",
    gte: Annotated[str, Text(metavar="LIMIT", help="Bad from it on.", show_default=False)] = "",
    lt: Annotated[str, Text(metavar="LIMIT", help="Bad below it.", show_default=False)] = "",
    lte: Annotated[str, Text(metavar="LIMIT", help="Bad up to it.", show_default=False)] = "",
    slo: Annotated[
        str, Text(metavar="SHARE", help="Instead of a limit: an objective, 99.9%; makes burn-rate rules.")
    ] = "",
    window: Annotated[str, Text(metavar="TIME", help="How much time each evaluation looks at.")] = "5m",
    for_: Annotated[str, Text("--for", metavar="TIME", help="How long it must be bad before it fires.")] = "0",
    keep_firing_for: Annotated[str, Text(metavar="TIME", help="How long it must be good to resolve.")] = "0",
    clear: Annotated[
        str, Text(metavar="LIMIT", help="Good again only past this; else the limit.", show_default=False)
    ] = "",
    min_samples: Annotated[int, Text(metavar="N", help="Fewer requests are no data.")] = 0,
    no_data: Annotated[
        str, Text(metavar="WHAT", help="No data means: keep (nothing), alert (tell), ok (it is good).")
    ] = "keep",
    by: By = None,
    where: Where = None,
    repeat: Annotated[str, Text(metavar="TIME", help="Between reminders while it fires; 0: none.")] = "4h",
    severity: Annotated[str, Text(metavar="WORD", help="critical, warning or info.")] = "warning",
    runbook: Annotated[str, Text(metavar="URL", help="To be shown in messages.", show_default=False)] = "",
    channel: Channel = None,
    *,
    replace: Replace = False,
) -> None:
    """A rule on a metric, or with --slo the burn-rate rules of an objective."""
    from hanzo_reports.alerts.parse import parse_rule
    from hanzo_reports.alerts.presets import build_burn_rate_rules
    from hanzo_reports.parse_values import parse_amount
    from hanzo_reports.units import Unit

    limits = {"gt": gt, "gte": gte, "lt": lt, "lte": lte, "clear": clear}
    given: dict[str, Any] = {
        "window": window, "for": for_, "keep_firing_for": keep_firing_for, "min_samples": min_samples,
        "no_data": no_data, "by": split_words(by or ()), "where": parse_pairs(where or (), "--where"), "repeat": repeat,
        "severity": severity, "runbook": runbook,
        **{name: text for name, text in limits.items() if text},
    }  # fmt: skip
    if slo:
        rules = build_burn_rate_rules(name, metric, parse_amount(slo, "the objective", Unit.SHARE), given)
    else:
        rules = [parse_rule({"name": name, "metric": metric, **given})]
    deployment = context.obj.deployment
    _put(deployment, [(rule, channel or ()) for rule in rules], over=replace)
    if not channel:
        print_note("no --channel: nobody is told; `alerts list` and `alerts show` have its state")


def list_(context: typer.Context, format_: Format = "table") -> None:
    """The rules, and what fires."""
    check_format(format_)
    from hanzo_reports.alerts import rule_store
    from hanzo_reports.alerts.alert_state import FIRING_PHASES
    from hanzo_reports.alerts.state_store import load_states

    deployment = context.obj.deployment
    with deployment.engine.connect() as connection:
        alerts = load_states(connection, None).alerts
        firing = Counter(key.rule_id for key, alert in alerts.items() if alert.state.phase in FIRING_PHASES)
        held = rule_store.list_rules(connection)
    rows = [
        {
            **one.rule.to_dict(), "limit": one.rule.breach_text, "enabled": one.enabled, "by": ",".join(one.rule.by),
            "firing": firing[one.rule_id],
            "channels": ",".join(one.rule.channels),
        }
        for one in held
    ]  # fmt: skip
    if format_ == "csv":
        rows = [{name: row.get(name) for name in _SHOWN} for row in rows]
    print_rows(rows, format_, _SHOWN)


def show(context: typer.Context, name: Name, format_: Format = "table") -> None:
    """One rule whole: what it says, who is told, how each group stands."""
    check_format(format_, ("table", "json"))
    from hanzo_reports.alerts import rule_store
    from hanzo_reports.delivery.endpoints import listed

    deployment = context.obj.deployment
    with deployment.engine.connect() as connection:
        held = rule_store.get_rule(connection, name)
        told = [row for row in listed(connection) if row["endpoint_id"] in held.endpoints]
        phases = _phases(connection).get(held.rule_id, {})
    whole = {
        **held.rule.to_dict(), "limit": held.rule.breach_text, "enabled": held.enabled, "rule_id": held.rule_id,
        "channels": [f"{row['name']}: {row['kind']} {row['label']}" for row in told],
        "groups": {
            group: phase for group, phase in phases.items() if group and set(json.loads(group)) == set(held.rule.by)
        },
    }  # fmt: skip
    if format_ == "json":
        print_rows([whole], "json", tuple(whole))
        return
    print_rows([{"what": key, "found": _flat(value)} for key, value in whole.items()], "table", ("what", "found"))


def remove(context: typer.Context, name: Name) -> None:
    """Remove a rule; what it told is resolved."""
    from hanzo_reports.alerts import rule_store

    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        told = rule_store.remove_rule(connection, name, deployment.now(), deployment.message_context)
    print_note(f"{name}: removed; {told} messages to send")


def enable(context: typer.Context, name: Name) -> None:
    """Evaluate a rule again."""
    _enable(context, name, on=True)


def disable(context: typer.Context, name: Name) -> None:
    """Evaluate a rule no more; what it told is resolved."""
    _enable(context, name, on=False)


def test(context: typer.Context, name: Name) -> None:
    """Send a marked test message to a rule's channels, now."""
    from hanzo_reports.alerts import rule_store
    from hanzo_reports.alerts.messages import build_test_notice
    from hanzo_reports.delivery.admin import messages
    from hanzo_reports.delivery.outbox import enqueue

    deployment, sent = context.obj.deployment, set()
    with deployment.engine.connect() as connection:
        held = rule_store.get_rule(connection, name)
    if not held.endpoints:
        msg = f"the rule {name!r} has no channel; name one: hanzo-reports alerts add {name} ... --channel X --replace"
        raise UsageError(msg)
    now = deployment.now()
    for over in (False, True):
        with deployment.engine.begin() as connection:
            enqueue(connection, [(build_test_notice(held.rule_id, held.rule, now, over=over), held.endpoints)], now)
        for failure in deployment.deliver().failures:
            print_note(failure)
    with deployment.engine.connect() as connection:
        for row in messages(connection, limit=1000):
            if row["thread"] == f"{held.rule_id}|test" and row["episode"] == int(now.timestamp()):
                sent.add((row["channel"], row["kind"], row["state"], row["last_status"], row["last_error"]))
    columns = ("channel", "kind", "state", "last_status", "last_error")
    print_rows([dict(zip(columns, row, strict=True)) for row in sorted(sent, key=str)], "table", columns)
    if missing := sorted({channel for channel, _, state, *_ in sent if state != "sent"}):
        msg = f"not everything has arrived at {', '.join(missing)}; `hanzo-reports outbox list` shows why"
        raise ReportsError(msg)


def init_defaults(context: typer.Context, channel: Channel = None, *, replace: Replace = False) -> None:
    """Rules for the usual limits of errors, availability, latency and saturation."""
    from hanzo_reports.alerts.presets import build_default_rules

    _put(context.obj.deployment, [(rule, channel or ()) for rule in build_default_rules()], over=replace)


def export(context: typer.Context) -> None:
    """All rules as YAML, with the names of their channels and no secrets."""
    import yaml

    from hanzo_reports.alerts import rule_store

    with context.obj.deployment.engine.connect() as connection:
        held = rule_store.list_rules(connection)
    rules = [one.rule.to_dict() | ({} if one.enabled else {"enabled": False}) for one in held]
    print_text(yaml.safe_dump({"rules": rules}, sort_keys=False, allow_unicode=True))


def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="YAML as `alerts export` writes it; ${NAME} in channels.")],
    *,
    prune: Annotated[bool, typer.Option("--prune", help="Remove the rules that are not in the file.")] = False,
) -> None:
    """Rules from YAML, all or none: new ones made, others changed."""
    from hanzo_reports.alerts import rule_store
    from hanzo_reports.alerts.parse import parse_rule

    given = _yaml(file)
    rules = [parse_rule(one, f"{file}, rule {n + 1}") for n, one in enumerate(given)]
    off = {rule.name: one.get("enabled") is False for rule, one in zip(rules, given, strict=True)}
    deployment = context.obj.deployment
    now = deployment.now()
    with deployment.engine.begin() as connection:
        put = [(rule, store_channels(deployment, connection, rule.channels, literal=False)) for rule in rules]
        changed = rule_store.save_rules(connection, put, now, replace_existing=True)
        held = {one.rule.name: one.enabled for one in rule_store.list_rules(connection)}
        gone = sorted(held.keys() - off.keys()) if prune else []
        for name in gone:
            rule_store.remove_rule(connection, name, now, deployment.message_context)
        for name, disabled in off.items():
            if held[name] is disabled:
                rule_store.set_rule_enabled(connection, name, now, deployment.message_context, enabled=not disabled)
    print_note(f"{len(rules)} rules, {len(changed)} new or changed, {len(gone)} removed")


def _yaml(file: Path) -> list[dict[str, Any]]:
    import yaml

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        msg = f"{file} cannot be read as YAML: {error}"
        raise UnreadableError(msg) from None
    rules = found.get("rules") if isinstance(found, dict) else None
    if not isinstance(rules, list) or not all(isinstance(one, dict) for one in rules):
        msg = f"{file} should hold a list `rules:`, as `hanzo-reports alerts export` writes it"
        raise UnreadableError(msg)
    return rules


def _put(deployment: "Deployment", given: list[tuple[Any, Any]], *, over: bool) -> None:
    from hanzo_reports.alerts import rule_store

    with deployment.engine.begin() as connection:
        texts = dict.fromkeys(text for _, channels in given for text in channels)
        ids = dict(zip(texts, store_channels(deployment, connection, texts, literal=True), strict=True))
        rules = [(rule, [ids[text] for text in channels]) for rule, channels in given]
        changed = rule_store.save_rules(connection, rules, deployment.now(), replace_existing=over)
    for rule, _ in given:
        state = "kept" if rule.name in changed else "there already"
        print_note(f"{rule.name}: {rule.metric} {rule.breach_text} over {rule.to_dict()['window']}, {state}")


def _enable(context: typer.Context, name: str, *, on: bool) -> None:
    from hanzo_reports.alerts import rule_store

    deployment = context.obj.deployment
    with deployment.engine.begin() as connection:
        told = rule_store.set_rule_enabled(connection, name, deployment.now(), deployment.message_context, enabled=on)
    print_note(f"{name}: {'enabled' if on else f'disabled; {told} messages to send'}")


def _phases(connection: "sqlalchemy.Connection") -> dict[str, dict[str, str]]:
    """The phase of each group of each rule, where it is not inactive from the start."""
    from hanzo_reports.alerts import state_store

    found: dict[str, dict[str, str]] = {}
    for (rule_id, group), (state, _) in state_store.load_states(connection, None).alerts.items():
        health = state.health.health.value
        word = state.phase.value if health == "ok" else f"{state.phase.value} ({health})"
        found.setdefault(rule_id, {})[group] = word
    return found


def _flat(value: object) -> str:
    if isinstance(value, list):
        return "\n".join(map(str, value)) or "-"
    return json.dumps(value) if isinstance(value, dict) else str(value)
