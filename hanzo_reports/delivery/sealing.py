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

_HOW = "make one with `python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'`"


class Vault:
    """What seals and opens secrets; it never shows its keys.

    Args:
        keys: Fernet keys joined by commas. The first seals, all open: put a new one in front to change it.

    Raises:
        ChannelError: one is no Fernet key.
    """

    def __init__(self, keys: str) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",")])
        except ValueError:
            msg = f"HANZO_REPORTS_SECRET_KEY, or the key file, holds no Fernet key; {_HOW}"
            raise ChannelError(msg) from None

    def seal(self, secrets: dict[str, Any]) -> bytes:
        """JSON values, encrypted."""
        return self._fernet.encrypt(json.dumps(secrets).encode())

    def open(self, sealed: bytes, name: str) -> dict[str, Any]:
        """What was sealed under a name.

        Raises:
            ChannelError: it was sealed with another key.
        """
        try:
            secrets: dict[str, Any] = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            msg = f"the secrets of channel {name!r} were sealed with another key; give that HANZO_REPORTS_SECRET_KEY"
            raise ChannelError(msg) from None
        return secrets


def vault(keys: str, file: Path) -> Vault:
    """The vault of the keys given, or else of a key file, which is made on first use.

    Args:
        keys: Fernet keys joined by commas; empty: the file's.
        file: a file of mode 0600.

    Raises:
        ChannelError: others may read the file, or it cannot be made or read.
    """
    if keys:
        return Vault(keys)
    try:
        if not file.exists():
            _make(file)
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            msg = f"others may read the key file {file}; change that with `chmod 600 {file}`"
            raise ChannelError(msg)
        return Vault(file.read_text(encoding="ascii").strip())
    except OSError as error:
        msg = f"the key file {file} cannot be used: {error.strerror}; give HANZO_REPORTS_SECRET_KEY instead"
        raise ChannelError(msg) from error


def _make(file: Path) -> None:
    """The file with a new key, whole or not at all; whoever comes second uses the first one's."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{uuid4().hex}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(Fernet.generate_key() + b"\n")
    try:
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()
