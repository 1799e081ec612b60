"""Alert rules as YAML files, to keep them in git: export, import."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hanzo_reports.cli.options import store_channels
from hanzo_reports.cli.output import print_note, print_text
from hanzo_reports.errors import UnreadableError


def register(group: typer.Typer) -> None:
    """Adds the commands of this module beside those of rules."""
    group.command("import")(import_)
    group.command("export")(export)


def export(context: typer.Context) -> None:
    """Print all rules as YAML, with the names of their channels and no secrets."""
    import yaml

    from hanzo_reports.alerts.rule_store import list_rules

    with context.obj.deployment.engine.connect() as connection:
        stored_rules = list_rules(connection)
    rules = [stored.rule.to_dict() | ({} if stored.enabled else {"enabled": False}) for stored in stored_rules]
    print_text(yaml.safe_dump({"rules": rules}, sort_keys=False, allow_unicode=True))


def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="YAML as `alerts export` writes it; ${NAME} in channels.")],
    *,
    prune: Annotated[bool, typer.Option("--prune", help="Remove the rules that are not in the file.")] = False,
) -> None:
    """Add or change rules from YAML, all of them or none."""
    from hanzo_reports.alerts import rule_store
    from hanzo_reports.alerts.parse import parse_rule

    definitions = _read_definitions(file)
    rules = [parse_rule(fields, f"{file}, rule {number}") for number, fields in enumerate(definitions, 1)]
    enabled = {rule.name: fields.get("enabled") is not False for rule, fields in zip(rules, definitions, strict=True)}
    deployment = context.obj.deployment
    now = deployment.now()
    with deployment.engine.begin() as connection:
        endpoints = [store_channels(deployment, connection, rule.channels, literal=False) for rule in rules]
        changed = rule_store.save_rules(
            connection, list(zip(rules, endpoints, strict=True)), now, replace_existing=True
        )
        before = {stored.rule.name: stored.enabled for stored in rule_store.list_rules(connection)}
        surplus = sorted(before.keys() - enabled.keys()) if prune else []
        for name in surplus:
            rule_store.remove_rule(connection, name, now, deployment.message_context)
        for name, on in enabled.items():
            if before[name] is not on:
                rule_store.set_rule_enabled(connection, name, now, deployment.message_context, enabled=on)
    print_note(f"{len(rules)} rules, {len(changed)} new or changed, {len(surplus)} removed")


def _read_definitions(file: Path) -> list[dict[str, Any]]:
    import yaml

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        msg = f"{file} cannot be read as YAML: {' '.join(str(error).split())}"
        raise UnreadableError(msg) from None
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        msg = f"{file} should hold a list `rules:`, as `hanzo-reports alerts export` writes it"
        raise UnreadableError(msg)
    return rules
