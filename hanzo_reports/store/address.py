"""Addresses of stores, and what of them may be shown."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from hanzo_reports.errors import StoreError

SECRET_OPTIONS = {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
_MALFORMED = re.compile(r"(postgres(?:ql)?|clickhouse|chdb|spark\+file):|.*\bpassword\s*=", re.IGNORECASE)
MAX_PORT = 65_535
_UNREADABLE = (
    "The {0}:// address cannot be parsed; write it as {0}://USER@HOST:PORT/NAME, "
    "and @ : / ? # % [ ] inside a name or a password as %40 %3A %2F %3F %23 %25 %5B %5D"
)


def redact_password(address: str) -> str:
    """Return an address without its password, as it may appear in an error, a manifest or a notebook.

    >>> redact_password("postgresql://ann:secret@db.example/usage?sslmode=require&password=secret")
    'postgresql://ann@db.example/usage?sslmode=require'
    >>> redact_password("./warehouse")
    './warehouse'

    Raises:
        StoreError: the address is malformed, so that its password cannot be located.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        if match := _MALFORMED.match(address):
            raise StoreError(_UNREADABLE.format(match[1] or "postgresql"))
        return address
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:  # its text would show the password
        raise StoreError(_UNREADABLE.format(scheme)) from None
    login, at, place = parts.netloc.rpartition("@")
    pairs = [pair for pair in parts.query.split("&") if pair]
    if ("@" in login or "@" in parts.path or parts.fragment or not _is_host_list(place)
            or not all("=" in pair for pair in pairs)):  # fmt: skip
        raise StoreError(_UNREADABLE.format(scheme))
    options = "&".join(pair for pair in pairs if unquote(pair.partition("=")[0]).lower() not in SECRET_OPTIONS)
    user = login.partition(":")[0]
    return f"{scheme}://{user}{at}{place}{parts.path}{f'?{options}' if options else ''}"


def _is_host_list(text: str) -> bool:
    """Whether a text is hosts, each with a valid port or without one."""
    ports = [host.rpartition("]")[2].partition(":")[2] for host in text.split(",")]
    return all(not port or (port.isdecimal() and int(port) <= MAX_PORT) for port in ports)
