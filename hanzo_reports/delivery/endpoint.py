"""An endpoint: one address that notices are sent to, without its secrets in any representation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pydantic import SecretStr

    from hanzo_reports.delivery.sealing import Vault


@dataclass(frozen=True)
class Endpoint:
    """An address that notices are sent to; its repr shows no secret.

    Args:
        endpoint_id: its id in the store; empty if it is not stored.
        name: the name that rules use; empty until `endpoints.store_endpoint` assigns one.
        kind: the kind of channel, for example slack.
        label: its address, masked.
        address: what the channel needs to reach it, for example a URL.
        signing_secrets: the secrets that sign its messages, two while one is replaced; empty for channels without.
    """

    endpoint_id: str
    name: str
    kind: str
    label: str
    address: SecretStr
    signing_secrets: tuple[SecretStr, ...] = ()

    def encrypt(self, vault: Vault) -> bytes:
        """Its address and its signing secrets, encrypted."""
        live = [secret.get_secret_value() for secret in self.signing_secrets]
        return vault.seal({"address": self.address.get_secret_value(), "live": live})


def mask_url(url: str) -> str:
    """Scheme and host of a URL; the path of a webhook is its secret."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/***"
