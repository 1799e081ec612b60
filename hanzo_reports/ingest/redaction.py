"""Secrets in logs: recognised by their issuer's prefix or by the name beside them, and masked or hashed.

One list of patterns serves DuckDB, which runs them on millions of rows, and Python, for the texts of errors. A secret
is a text with an issuer's prefix (``sk-...``), a value with a name for secrets (in JSON, OTLP attributes, query
strings, headers, ``name=value``), a password or token inside a URL, or a private key. Identifiers (UUIDs, request ids,
hashes), names of models and counts of tokens are not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    import ibis.expr.types as ir

MASK = "[secret]"
MIN_SECRET_LENGTH = 8  # of a whole text that is searched, name and value: "pwd=abcd"
MIN_KEY_LENGTH = 11  # of an API key: an issuer's prefix and a body
MAX_VALUE_SHOWN = 40  # letters of a value that a reason shows
MIN_NAMED_KEY_LENGTH = 8  # of a value named api_key; shorter ones are ids

_RUN = "|".join(f"[A-Za-z]{{{n}}}[0-9][A-Za-z0-9]{{{5 - n},}}" for n in range(6)) + "|[A-Za-z]{6,}[0-9][A-Za-z0-9]*"
_ISSUED = (
    rf"(?:\bsk-(?:admin|ant|live|or|proj|svcacct|test)-[\w\-]{{8,}}|\b(?:sk|rk)[-_][A-Za-z0-9_\-]*?(?:{_RUN}|[A-Za-z0-9]{{16,}})[A-Za-z0-9_\-.+/=]*"
    r"|\b(?:gsk|hf|gh[pousr]|r8|fw|npm|whsec)_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\b(?:xai|pplx)-[A-Za-z0-9]{16,}"
    r"|\b(?:glpat|nvapi|pypi|tvly)-[\w\-]{16,}|\bxox[abeprs]-[\w\-]{10,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|\bAIza[\w\-]{20,}|\bya29\.[\w\-]{10,}|\beyJ[\w\-]{12,}(?:\.[\w\-]+)*|\bSG\.[\w\-]{16,}\.[\w\-]{16,}"
    r"|\bdop_v1_[0-9a-f]{30,})"
)
_KEY_NAME = r"api[-_]?keys?"
_NAME = (
    r"(?:pass(?:word|wd|phrase|code)s?|pwd|secrets?|(?:access|private|secret|signing)[-_]?key|authorization|cookies?"
    r"|credentials?|signature)"
)
_TOKEN = r"token"  # noqa: S105  # the word; as a name's last word, since "tokens" is a count
_JSON = r'(?:[^"\\]|\\.)'  # a letter of a JSON text
_NO_NUMBER = r'[0-9.,eE+\-]*(?:[^"\\0-9.,eE+\-]|\\.)'  # the beginning of a JSON text that is not a number
_PLAIN = r"""[^\s&;,"'<>\\]"""  # a letter of a value that stands without quotes
_VALUE = rf"""(?:"[^"]*"|'[^']*'|(?:(?:basic|bearer|digest|token)\s+)?{_PLAIN}+)"""
_TOKEN_VALUE = rf"""(?:"[0-9.,]*[^"0-9.,][^"]*"|'[0-9.,]*[^'0-9.,][^']*'|[0-9.,]*[^\s&;,"'<>\\0-9.]{_PLAIN}*)"""
_EQUALS = r"\s*(?:=|%3[dD])\s*"
_OTLP = r'\s*,\s*"value"\s*:\s*(?:[\[{\s]*(?:"(?:stringValue|arrayValue|values)"\s*:\s*[\[{\s]*)+)?")'
_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----[^-]*(?:-----END[A-Z0-9 ]*-----)?", MASK),
    (r"(?i)\b([a-z][a-z0-9+.\-]*://[^\s/:@\"'<>?#\\]*:)[^\s/\"'<>?#\\]+@", rf"\1{MASK}@"),
    (r"(?i)\b([a-z][a-z0-9+.\-]*://)[\w\-]{16,}@", rf"\1{MASK}@"),
    (r"(?i)(hooks\.slack\.com/[a-z]+/|discord(?:app)?\.com/api/webhooks/[0-9]+/)[\w/\-]+", rf"\1{MASK}"),
    (r"(?i)(api\.telegram\.org/bot)[0-9]+:[\w\-]+", rf"\1{MASK}"),
    (_ISSUED, MASK),
    (r"(?i)(bearer )[A-Za-z0-9_\-./+=~]{8,}", rf"\1{MASK}"),
    (rf'(?i)({_NAME}"\s*:\s*"){_JSON}+', rf"\1{MASK}"),
    (rf'(?i)({_NAME}"\s*:\s*)-?[0-9][0-9.eE+\-]*', rf'\1"{MASK}"'),
    (rf'(?i)({_NAME}"\s*:\s*\[)\s*"[^\]]*', rf'\1"{MASK}"'),
    (rf'(?i)({_KEY_NAME}"\s*:\s*"){_JSON}{{{MIN_NAMED_KEY_LENGTH},}}', rf"\1{MASK}"),
    (rf'(?i)({_TOKEN}"\s*:\s*"){_NO_NUMBER}{_JSON}*', rf"\1{MASK}"),
    (rf'(?i)((?:{_NAME}|{_KEY_NAME}|{_TOKEN})\\+"\s*:\s*\\+")[^"\\]+', rf"\1{MASK}"),
    (rf"(?i)((?:{_NAME}|{_KEY_NAME}|{_TOKEN})'\s*:\s*')[^']+", rf"\1{MASK}"),
    (rf'(?i)("(?:key|name)"\s*:\s*"[\w.\-]*(?:{_NAME}|{_KEY_NAME}|{_TOKEN})"{_OTLP}{_JSON}+', rf"\1{MASK}"),
    (r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)[^\r\n\"'\\]+", rf"\1\2{MASK}"),
    (rf"(?i)((?:{_NAME}|{_KEY_NAME}){_EQUALS}){_VALUE}", rf"\1{MASK}"),
    (rf"(?i)({_TOKEN}{_EQUALS}){_TOKEN_VALUE}", rf"\1{MASK}"),
    (rf"(?i)({_NAME}\s*:\s*)[^\s,;\"'\\{{}}\[\]]+", rf"\1{MASK}"),
    (rf"(?i)({_KEY_NAME}\s*:\s*)[^\s,;\"'\\{{}}\[\]]{{{MIN_NAMED_KEY_LENGTH},}}", rf"\1{MASK}"),
    (rf"(?i)({_TOKEN}\s*:\s*)[\w\-./+=~]{{16,}}", rf"\1{MASK}"),
)
SECRET = "|".join(f"(?:{pattern})" for pattern, _ in _PATTERNS)  # one automaton: as fast as a single pattern
_ONLY_ISSUED = rf"^\s*(?:[Bb]earer\s+)?{_ISSUED}\s*$"
_LONG_RUN = r"[A-Za-z0-9+/]{20,}"
_ISSUED_KEY = r"\b(?:sk|rk|gsk|hf|ghp|gho|r8|fw|xai|pplx|glpat|nvapi|xox[abp])[-_][A-Za-z0-9_\-./+=]{8,}"
KEY = rf"{_LONG_RUN}|{_ISSUED_KEY}|{_ISSUED}"  # every text that may be an API key, and some more
_SECRET_NAME = re.compile(rf"(?i)(?:{_NAME}|{_TOKEN})$")
_INVISIBLE = r"[\x00-\x1f\x7f-\x9f\x{061c}\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2060}-\x{2069}\x{feff}]"  # as RE2 has it
_LONG_VALUE = f": '([^']{{{MAX_VALUE_SHOWN}}})[^']*'"  # after its name: not what stands between two values
_BREAKS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def mask_secrets(text: ir.StringValue) -> ir.StringValue:
    """A text with its secrets masked, on DuckDB; what stands around them, and their names, stay."""
    for pattern, replacement in _PATTERNS:
        text = text.re_replace(pattern, replacement)
    return text


def mask_secrets_in(text: str) -> str:
    """`mask_secrets` for one text.

    >>> mask_secrets_in('GET /v1?api_key=abc&n=1 {"total_tokens": 12, "password": "hunter2"}')
    'GET /v1?api_key=[secret]&n=1 {"total_tokens": 12, "password": "[secret]"}'
    """
    for pattern, replacement in _PATTERNS:
        text = re.sub(pattern, replacement, text)
    return text


def has_secret(text: ir.StringValue) -> ir.BooleanValue:
    """Whether a text has a secret in it; far faster than to mask it."""
    return text.re_search(SECRET)


def mask_key(text: ir.StringValue, key: ir.StringValue) -> ir.StringValue:
    """A row's text with the row's own API key masked wherever it stands, where that looks like a secret."""
    return ibis.ifelse(looks_like_key(key).fill_null(False), text.replace(key.fill_null(MASK), MASK), text)  # noqa: FBT003


def looks_like_key(text: ir.StringValue) -> ir.BooleanValue:
    """Whether a value of the column `api_key` is a key and not its id.

    It is one with an issuer's prefix, or with 20 and more letters mixed with digits in a row. Written as a condition on
    a condition: the engine looks for patterns in long enough texts only.
    """
    mixed = text.re_search(_LONG_RUN) & text.re_search("[0-9]") & text.re_search("[A-Za-z]")
    issued = text.re_search(_ISSUED_KEY) | text.re_search(_ISSUED)
    return ibis.ifelse(text.length() >= MIN_KEY_LENGTH, issued | mixed, False)  # noqa: FBT003


def hash_secret(text: ir.StringValue) -> ir.StringValue:
    """What stands for a text that is a secret: "sha256:" and the first 16 digits of its hash."""
    return "sha256:" + text.hexdigest("sha256").substr(0, 16)


def redact(text: ir.StringValue) -> ir.StringValue:
    """A text of an event without secrets: one that is a secret is hashed, so that two stay two; others are masked."""
    hidden = ibis.ifelse(text.re_search(_ONLY_ISSUED), hash_secret(text), mask_secrets(text))
    return ibis.ifelse(has_secret(text), hidden, text)


def is_secret_name(name: str) -> bool:
    """Whether a column's name says that its values are secrets.

    >>> [is_secret_name(name) for name in ("db_password", "access_token", "total_tokens", "api_key")]
    [True, True, False, False]
    """
    return _SECRET_NAME.search(name) is not None


def clean_rejected(rows: ibis.Table) -> ibis.Table:
    """Mask the secrets in the texts of rejected rows and in their reasons, and bring reasons into a form to show.

    Args:
        rows: with `_reason` and `_raw`.
    """
    reason, raw = (
        ibis.ifelse(has_secret(rows[name]), mask_secrets(rows[name]), rows[name]) for name in ("_reason", "_raw")
    )
    return rows.mutate(_reason=show_control_characters(reason).re_replace(_LONG_VALUE, r": '\1'"), _raw=raw)


def show_control_characters(text: ir.StringValue) -> ir.StringValue:
    """A text in one line: line breaks as escapes, other control and direction characters as U+FFFD."""
    for character, shown in _BREAKS.items():
        text = text.replace(character, shown)
    return text.re_replace(_INVISIBLE, "\N{REPLACEMENT CHARACTER}")
