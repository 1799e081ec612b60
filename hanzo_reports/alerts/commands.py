"""The commands that messages print: run as printed, each answers with the number of its message."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from hanzo_reports.alerts.message_text import parse_group
from hanzo_reports.escapes import escape_terminal
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hanzo_reports.alerts.rule import Rule

MAX_COMMAND_LENGTH = 1_500  # Slack shows at most 3,000 characters of all facts together


def build_usage_command(rule: Rule, group: str, end: datetime) -> str:
    """The command that asks for the rule's metric of a group over the window that ends at an instant."""
    where = {name: list(values) for name, values in rule.where}
    where |= {name: ["" if value is None else str(value)] for name, value in parse_group(group).items()}
    return _build_question("usage", end - rule.window, end, ["-m", f"{rule.metric},requests"], where)


def build_costs_command(project: str | None, start: datetime, end: datetime) -> str:
    """The command that asks for the cost of a project by model; None: events without a project."""
    return _build_question("costs", start, end, ["--by", "model"], {"project": [project or ""]})


def build_budget_command(project: str) -> str:
    """The command that sets another limit, in which the reader replaces ``USD``."""
    return _join_words(["hanzo-reports", "budgets", "set", project, "--monthly", "USD"])


def _build_question(
    question: str, start: datetime, end: datetime, options: Sequence[str], where: Mapping[str, Sequence[str]]
) -> str:
    words = ["hanzo-reports", question, "-r", f"{iso(start)}..{iso(end)}", *options]
    for name, values in sorted(where.items()):
        for value in values:
            words += ["-w", f"{name}={value}"]
    return _join_words(words)


def _join_words(words: Sequence[str]) -> str:
    """The command of some words, or a remark that it is too long: a command that is cut would give another number."""
    is_short = sum(map(len, words)) <= MAX_COMMAND_LENGTH
    command = " ".join(map(quote_shell, words)) if is_short else ""
    if command and len(command) <= MAX_COMMAND_LENGTH:
        return command
    return "not shown: the command is too long for a message, since names in its filter are too long"


def quote_shell(word: str) -> str:
    r"""A word quoted for a shell, with nothing in it that a terminal would obey or hide.

    Words with such characters are quoted as ``$'...'``, with their bytes in octal, which bash, zsh, ksh and any shell
    of POSIX.1-2024 read.

    >>> quote_shell("project=a; touch x"), quote_shell("project=a\nb")
    ("'project=a; touch x'", "$'project=a\\012b'")
    """
    if escape_terminal(word) == word:
        return shlex.quote(word)
    return f"$'{''.join(map(_quote_character, word))}'"


def _quote_character(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if escape_terminal(character) == character:
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogatepass"))
