"""Addresses of stores: what may be shown of them."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from hanzo_reports.errors import StoreError

SECRETS = {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
_ALMOST = re.compile(r"(postgres(?:ql)?|clickhouse|chdb|spark\+file):|.*\bpassword\s*=", re.IGNORECASE)
LAST_PORT = 65_535
_UNREADABLE = (
    "the {0}:// address cannot be read; write it as {0}://USER@HOST:PORT/NAME, "
    "and @ : / ? # % [ ] inside a name or a password as %40 %3A %2F %3F %23 %25 %5B %5D"
)


def redact_password(address: str) -> str:
    """An address without its password, as it may stand in an error, a manifest or a notebook.

    >>> redact_password("postgresql://ann:secret@db.example/usage?sslmode=require&password=secret")
    'postgresql://ann@db.example/usage?sslmode=require'
    >>> redact_password("./warehouse")
    './warehouse'

    Raises:
        StoreError: it cannot be told where its password begins and ends.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        if almost := _ALMOST.match(address):
            raise StoreError(_UNREADABLE.format(almost[1] or "postgresql"))
        return address
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:  # it would show the password
        raise StoreError(_UNREADABLE.format(scheme)) from None
    login, at, place = parts.netloc.rpartition("@")
    pairs = [pair for pair in parts.query.split("&") if pair]
    if ("@" in login or "@" in parts.path or parts.fragment or not _is_place(place)
            or not all("=" in pair for pair in pairs)):  # fmt: skip
        raise StoreError(_UNREADABLE.format(scheme))
    kept = "&".join(pair for pair in pairs if unquote(pair.partition("=")[0]).lower() not in SECRETS)
    user = login.partition(":")[0]
    return f"{scheme}://{user}{at}{place}{parts.path}{f'?{kept}' if kept else ''}"


def _is_place(text: str) -> bool:
    """Whether it is hosts, each with a port that there can be, or without."""
    ports = [host.rpartition("]")[2].partition(":")[2] for host in text.split(",")]
    return all(not port or (port.isdecimal() and int(port) <= LAST_PORT) for port in ports)
