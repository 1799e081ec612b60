"""Endpoints: the addresses that notices go to, kept encrypted and shown masked."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import sqlalchemy
from pydantic import SecretStr

from hanzo_reports.delivery.webhooks import checked_secret, new_secret
from hanzo_reports.errors import ChannelError, UnknownNameError
from hanzo_reports.state.alert_tables import ENDPOINTS, RULE_ENDPOINTS, RULES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hanzo_reports.delivery.sealing import Vault
    from hanzo_reports.delivery.ssrf import Guard

KINDS = ("slack", "pagerduty", "webhook", "apprise")
PAGERDUTY = "https://events.pagerduty.com"
_SPEC = re.compile(rf"(?:([\w.-]+)=)?({'|'.join(KINDS)}):(.+)", re.DOTALL)
_KEY = re.compile(r"[A-Za-z0-9_-]{20,64}")


@dataclass(frozen=True)
class Endpoint:
    """Somewhere that notices go; printing it shows no secret.

    Args:
        endpoint_id: its id in the store; empty: not kept yet.
        name: what rules call it; empty: it was not given one, and `keep` does.
        kind: slack, pagerduty, webhook or apprise.
        label: its address, masked.
        address: URL, or routing key and URL of PagerDuty joined by ``@``.
        live: signing secrets of a webhook, two while they are changed; none: it was not given one, and `keep` does.
    """

    endpoint_id: str
    name: str
    kind: str
    label: str
    address: SecretStr
    live: tuple[SecretStr, ...] = ()

    def sealed(self, vault: Vault) -> bytes:
        """Its secrets, encrypted."""
        live = [secret.get_secret_value() for secret in self.live]
        return vault.seal({"address": self.address.get_secret_value(), "live": live})


def parse(text: str, guard: Guard, schemes: Sequence[str]) -> Endpoint:
    """The endpoint that a text names: ``[NAME=]KIND:ADDRESS``.

    Args:
        text: ``slack:https://hooks.slack.com/services/...``, ``pagerduty:KEY`` (with ``@https://...`` for another
            region), ``webhook:https://...`` (with ``#whsec_...`` for a secret of your own), ``apprise:SCHEME://...``.
        guard: who may be posted to.
        schemes: the Apprise schemes that the operator allows.

    Raises:
        ChannelError: it cannot be read, or leads to where nothing may be sent. The text of it is not repeated.
    """
    found = _SPEC.fullmatch(text.strip())
    if not found:
        known = ", ".join(f"{kind}:..." for kind in KINDS)
        msg = f"a channel is KIND:ADDRESS or NAME=KIND:ADDRESS with one of {known}, or the name of one that is there"
        raise ChannelError(msg)
    name, kind, address = found[1] or "", found[2], found[3].strip()
    make = {"slack": _slack, "pagerduty": _pagerduty, "webhook": _webhook}
    made = _apprise(address, guard, schemes) if kind == "apprise" else make[kind](address, guard)
    return replace(made, name=name)


def _slack(address: str, guard: Guard) -> Endpoint:
    guard.checked(address, "slack")
    return Endpoint("", "", "slack", _masked(address), SecretStr(address))


def _pagerduty(address: str, guard: Guard) -> Endpoint:
    key, _, url = address.partition("@")
    if not _KEY.fullmatch(key):
        msg = "a PagerDuty routing key is 20 to 64 letters and digits, from the integration's Events API v2 page"
        raise ChannelError(msg)
    url = guard.checked(url or PAGERDUTY, "pagerduty")
    return Endpoint("", "", "pagerduty", f"***@{urlsplit(url).hostname}", SecretStr(f"{key}@{url.rstrip('/')}"))


def _webhook(address: str, guard: Guard) -> Endpoint:
    url, _, secret = address.partition("#")
    guard.checked(url, "webhook")
    live = (SecretStr(checked_secret(secret)),) if secret else ()
    return Endpoint("", "", "webhook", _masked(url), SecretStr(url), live)


def _apprise(address: str, guard: Guard, schemes: Sequence[str]) -> Endpoint:
    from hanzo_reports.delivery.channels import checked_url  # noqa: PLC0415  # Apprise is slow to load

    scheme = address.partition("://")[0].lower()[:20]
    if scheme not in schemes:
        allowed = ", ".join(schemes) or "none"
        msg = f"the Apprise scheme {scheme!r} is not allowed here (allowed: {allowed}); HANZO_REPORTS_APPRISE={scheme}"
        raise ChannelError(msg)
    checked_url(address, guard)
    return Endpoint("", "", "apprise", f"{scheme}://***", SecretStr(address))


def _masked(url: str) -> str:
    """Scheme and host; the path of a webhook is its secret."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/***"


def keep(connection: sqlalchemy.Connection, vault: Vault, endpoint: Endpoint, now: datetime) -> Endpoint:
    """The endpoint in the store: one with the same kind and address that is there already, or a new one.

    Raises:
        ChannelError: another endpoint has its name, or the one that is there has another name or secret.
    """
    same = ENDPOINTS.c.kind == endpoint.kind
    for row in connection.execute(sqlalchemy.select(ENDPOINTS).where(same)).mappings():
        held = opened(row, vault)
        if held.address == endpoint.address:
            return _again(held, endpoint)
    name = endpoint.name or f"{endpoint.kind}-{secrets.token_hex(3)}"
    if connection.execute(sqlalchemy.select(ENDPOINTS).where(ENDPOINTS.c.name == name)).first():
        msg = f"another channel is called {name!r} already; give another name"
        raise ChannelError(msg)
    live = (endpoint.live or (SecretStr(new_secret()),)) if endpoint.kind == "webhook" else ()
    made = replace(endpoint, endpoint_id=secrets.token_hex(8), name=name, live=live)
    plain = {name: getattr(made, name) for name in ("endpoint_id", "name", "kind", "label")}
    connection.execute(sqlalchemy.insert(ENDPOINTS).values(**plain, sealed=made.sealed(vault), created_at=now))
    return made


def _again(held: Endpoint, given: Endpoint) -> Endpoint:
    """The endpoint that is kept, where what is given says nothing else of it."""
    if given.name not in {"", held.name}:
        msg = f"that address is the channel {held.name!r} already; name it so, or leave the name out"
        raise ChannelError(msg)
    if not set(given.live) <= set(held.live):
        how = f"hanzo-reports alerts channels rotate {held.name}"
        msg = f"the channel {held.name!r} signs with another secret; leave it out, or have a new one made: {how}"
        raise ChannelError(msg)
    return held


def opened(row: Any, vault: Vault) -> Endpoint:  # noqa: ANN401  # a row of the table
    """The endpoint of a row, with its secrets."""
    found = vault.open(row["sealed"], row["name"])
    live = tuple(SecretStr(secret) for secret in found["live"])
    plain = {name: row[name] for name in ("endpoint_id", "name", "kind", "label")}
    return Endpoint(**plain, address=SecretStr(found["address"]), live=live)


def all_opened(connection: sqlalchemy.Connection, vault: Vault) -> dict[str, Endpoint]:
    """Every endpoint that is not disabled, by its id."""
    rows = connection.execute(sqlalchemy.select(ENDPOINTS).where(ENDPOINTS.c.disabled_at.is_(None))).mappings()
    return {row["endpoint_id"]: opened(row, vault) for row in rows}


def named(connection: sqlalchemy.Connection, name: str) -> Any:  # noqa: ANN401  # a row of the table
    """The row of an endpoint, by its name.

    Raises:
        UnknownNameError: there is none.
    """
    row = connection.execute(sqlalchemy.select(ENDPOINTS).where(ENDPOINTS.c.name == name)).mappings().first()
    if row is None:
        raise UnknownNameError("channel", name, connection.scalars(sqlalchemy.select(ENDPOINTS.c.name)))
    return row


def listed(connection: sqlalchemy.Connection) -> list[dict[str, Any]]:
    """Every endpoint as it may be shown, with the rules that use it, by name."""
    using = sqlalchemy.select(RULE_ENDPOINTS.c.endpoint_id, RULES.c.name).join(RULES).order_by(RULES.c.name)
    rules: dict[str, list[str]] = {}
    for endpoint_id, name in connection.execute(using):
        rules.setdefault(endpoint_id, []).append(name)
    columns = [
        ENDPOINTS.c[name]
        for name in ("endpoint_id", "name", "kind", "label", "failing_since", "disabled_at", "disabled_reason")
    ]
    rows = connection.execute(sqlalchemy.select(*columns).order_by(ENDPOINTS.c.name)).mappings()
    return [{**row, "rules": rules.get(row["endpoint_id"], [])} for row in rows]


def enable(connection: sqlalchemy.Connection, name: str) -> None:
    """An endpoint used again; what died meanwhile stays dead until it is sent again."""
    row = named(connection, name)
    again = {"disabled_at": None, "disabled_reason": None, "failing_since": None, "retry_at": None}
    connection.execute(sqlalchemy.update(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == row["endpoint_id"]).values(again))


def rotate(connection: sqlalchemy.Connection, vault: Vault, name: str, *, finish: bool) -> str:
    """A webhook's next signing secret, live beside the old one until `finish` drops the old one.

    Raises:
        ChannelError: it is no webhook, or there is nothing to finish.
    """
    held = opened(named(connection, name), vault)
    if held.kind != "webhook":
        msg = f"channel {name!r} is of kind {held.kind}; only a webhook has a signing secret"
        raise ChannelError(msg)
    if finish != (len(held.live) > 1):
        msg = f"{name!r} has {len(held.live)} live secret(s); " + (
            "rotate it first" if finish else "finish the change before the next: --finish"
        )
        raise ChannelError(msg)
    live = held.live[-1:] if finish else (*held.live, SecretStr(new_secret()))
    sealed = replace(held, live=live).sealed(vault)
    connection.execute(
        sqlalchemy.update(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == held.endpoint_id).values(sealed=sealed)
    )
    return live[-1].get_secret_value()
