"""Endpoints in the state database: addresses of channels, stored encrypted and shown masked."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy
from pydantic import SecretStr

from hanzo_reports.delivery.channels import channel_kinds, find_channel
from hanzo_reports.delivery.endpoint import Endpoint
from hanzo_reports.delivery.webhooks import generate_secret
from hanzo_reports.errors import ChannelError, UnknownNameError
from hanzo_reports.state.alert_tables import ENDPOINTS, RULE_ENDPOINTS, RULES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hanzo_reports.delivery.sealing import Vault
    from hanzo_reports.delivery.ssrf import SsrfPolicy

_NAME = r"[\w.-]+"
_COLUMNS = ("endpoint_id", "name", "kind", "label")


def is_address(text: str) -> bool:
    """Whether a text is an address, ``[NAME=]KIND:ADDRESS``, and not the name of a channel."""
    return bool(_match_address(text))


def parse_channel(text: str, policy: SsrfPolicy, schemes: Sequence[str]) -> Endpoint:
    """The endpoint that an address describes: ``[NAME=]KIND:ADDRESS``.

    Args:
        text: ``slack:https://hooks.slack.com/services/...``, ``pagerduty:KEY`` (with ``@https://...`` for another
            region), ``webhook:https://...`` (with ``#whsec_...`` for a secret of your own), ``apprise:SCHEME://...``.
        policy: the hosts that may be posted to.
        schemes: the Apprise schemes that the operator allows.

    Raises:
        ChannelError: it cannot be read, or leads to a host that may not be posted to. Its text is not repeated.
    """
    match = _match_address(text.strip())
    if not match:
        known = ", ".join(f"{kind}:..." for kind in channel_kinds())
        msg = f"a channel is KIND:ADDRESS or NAME=KIND:ADDRESS with one of {known}, or the name of an existing channel"
        raise ChannelError(msg)
    endpoint = find_channel(match[2]).parse(match[3].strip(), policy, schemes)
    return replace(endpoint, name=match[1] or "")


def _match_address(text: str) -> re.Match[str] | None:
    return re.fullmatch(rf"(?:({_NAME})=)?({'|'.join(channel_kinds())}):(.+)", text, re.DOTALL)


def store_endpoint(connection: sqlalchemy.Connection, vault: Vault, endpoint: Endpoint, now: datetime) -> Endpoint:
    """Stores an endpoint, unless one of the same kind and address exists; returns the stored one.

    Raises:
        ChannelError: another endpoint has its name, or the existing one has another name or secret.
    """
    same = ENDPOINTS.c.kind == endpoint.kind
    for row in connection.execute(sqlalchemy.select(ENDPOINTS).where(same)).mappings():
        existing = decrypt_endpoint(row, vault)
        if existing.address == endpoint.address:
            return _check_same(existing, endpoint)
    name = endpoint.name or f"{endpoint.kind}-{secrets.token_hex(3)}"
    if connection.execute(sqlalchemy.select(ENDPOINTS).where(ENDPOINTS.c.name == name)).first():
        msg = f"another channel already has the name {name!r}; choose another"
        raise ChannelError(msg)
    signing = endpoint.signing_secrets
    if find_channel(endpoint.kind).has_signing_secret and not signing:
        signing = (SecretStr(generate_secret()),)
    stored = replace(endpoint, endpoint_id=secrets.token_hex(8), name=name, signing_secrets=signing)
    plain = {column: getattr(stored, column) for column in _COLUMNS}
    connection.execute(sqlalchemy.insert(ENDPOINTS).values(**plain, sealed=stored.encrypt(vault), created_at=now))
    return stored


def _check_same(existing: Endpoint, endpoint: Endpoint) -> Endpoint:
    """The existing endpoint, if the name and the secrets of the new one do not contradict it."""
    if endpoint.name not in {"", existing.name}:
        msg = f"that address already is the channel {existing.name!r}; use that name, or leave the name out"
        raise ChannelError(msg)
    if not set(endpoint.signing_secrets) <= set(existing.signing_secrets):
        command = f"hanzo-reports alerts channels rotate {existing.name}"
        msg = f"the channel {existing.name!r} signs with another secret; leave it out, or generate a new one: {command}"
        raise ChannelError(msg)
    return existing


def decrypt_endpoint(row: Any, vault: Vault) -> Endpoint:  # noqa: ANN401  # a row of the table
    """The endpoint of a row, with its secrets."""
    opened = vault.open(row["sealed"], row["name"])
    signing = tuple(SecretStr(secret) for secret in opened["live"])
    plain = {column: row[column] for column in _COLUMNS}
    return Endpoint(**plain, address=SecretStr(opened["address"]), signing_secrets=signing)


def enabled_endpoints(connection: sqlalchemy.Connection, vault: Vault) -> dict[str, Endpoint]:
    """Every endpoint that is not disabled, by its id."""
    rows = connection.execute(sqlalchemy.select(ENDPOINTS).where(ENDPOINTS.c.disabled_at.is_(None))).mappings()
    return {row["endpoint_id"]: decrypt_endpoint(row, vault) for row in rows}


def find_endpoint(connection: sqlalchemy.Connection, name: str) -> Any:  # noqa: ANN401  # a row of the table
    """Finds the row of an endpoint by its name.

    Raises:
        UnknownNameError: no endpoint has that name.
    """
    row = connection.execute(sqlalchemy.select(ENDPOINTS).where(ENDPOINTS.c.name == name)).mappings().first()
    if row is None:
        raise UnknownNameError("channel", name, connection.scalars(sqlalchemy.select(ENDPOINTS.c.name)))
    return row


def list_endpoints(connection: sqlalchemy.Connection) -> list[dict[str, Any]]:
    """Every endpoint without its secrets, with the rules that use it, ordered by name."""
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


def enable_endpoint(connection: sqlalchemy.Connection, name: str) -> None:
    """Enables an endpoint; messages that died meanwhile stay dead until they are sent again."""
    row = find_endpoint(connection, name)
    enabled = {"disabled_at": None, "disabled_reason": None, "failing_since": None, "retry_at": None}
    connection.execute(
        sqlalchemy.update(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == row["endpoint_id"]).values(enabled)
    )


def rotate_secret(connection: sqlalchemy.Connection, vault: Vault, name: str, *, finish: bool) -> str:
    """Adds a signing secret beside the current one, or drops the older of two; returns the newest.

    Args:
        connection: within a transaction.
        vault: decrypts and encrypts the secrets.
        name: the channel's name.
        finish: drop the older secret.


    Raises:
        ChannelError: the channel has no signing secret, or there is nothing to finish.
    """
    endpoint = decrypt_endpoint(find_endpoint(connection, name), vault)
    if not find_channel(endpoint.kind).has_signing_secret:
        msg = f"channel {name!r} is of kind {endpoint.kind}, which has no signing secret; a webhook has one"
        raise ChannelError(msg)
    signing = endpoint.signing_secrets
    if finish != (len(signing) > 1):
        msg = f"{name!r} has {len(signing)} live secret(s); " + (
            "rotate it first" if finish else "finish the current rotation first: --finish"
        )
        raise ChannelError(msg)
    signing = signing[-1:] if finish else (*signing, SecretStr(generate_secret()))
    sealed = replace(endpoint, signing_secrets=signing).encrypt(vault)
    connection.execute(
        sqlalchemy.update(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == endpoint.endpoint_id).values(sealed=sealed)
    )
    return signing[-1].get_secret_value()
