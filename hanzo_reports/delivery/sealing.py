"""Secrets at rest: encrypted by Fernet, with a key from the environment or a file that only its owner reads."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from hanzo_reports.errors import ChannelError

if TYPE_CHECKING:
    from pathlib import Path

_HOW = "generate one with `python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'`"


class Vault:
    """Seals and opens secrets; it never shows its keys.

    Args:
        keys: Fernet keys joined by commas. The first seals, all open: prepend a new one to rotate.

    Raises:
        ChannelError: one of them is not a Fernet key.
    """

    def __init__(self, keys: str) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])
        except ValueError:
            msg = f"HANZO_REPORTS_SECRET_KEY or the key file does not hold a Fernet key; {_HOW}"
            raise ChannelError(msg) from None

    def seal(self, secrets: dict[str, Any]) -> bytes:
        """Encrypts JSON values."""
        return self._fernet.encrypt(json.dumps(secrets).encode())

    def open(self, sealed: bytes, name: str) -> dict[str, Any]:
        """Decrypts sealed values.

        Args:
            sealed: what `seal` returned.
            name: the channel, for the error.


        Raises:
            ChannelError: they were sealed with another key.
        """
        try:
            secrets: dict[str, Any] = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            msg = f"the secrets of channel {name!r} have another key; put that key into HANZO_REPORTS_SECRET_KEY"
            raise ChannelError(msg) from None
        return secrets


def open_vault(keys: str, file: Path) -> Vault:
    """The vault of some keys, or else of a key file, which is created on first use.

    Args:
        keys: Fernet keys joined by commas; empty to use the file.
        file: a file of mode 0600.

    Raises:
        ChannelError: others may read the file, or it cannot be created or read.
    """
    if keys:
        return Vault(keys)
    try:
        if not file.exists():
            _create_key_file(file)
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            msg = f"other users may read the key file {file}; run `chmod 600 {file}`"
            raise ChannelError(msg)
        return Vault(file.read_text(encoding="ascii").strip())
    except OSError as error:
        msg = f"the key file {file} cannot be used: {error.strerror}; set HANZO_REPORTS_SECRET_KEY instead"
        raise ChannelError(msg) from error


def _create_key_file(file: Path) -> None:
    """Creates the file with a new key, atomically; if two processes do, the second uses the key of the first."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{uuid4().hex}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(Fernet.generate_key() + b"\n")
    try:
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()
