"""Keys: from the environment or a file that only its owner reads; a new one in front of the old."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet

from hanzo_reports.delivery.sealing import Vault, open_vault
from hanzo_reports.errors import ChannelError

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_a_key_file_is_made_once_for_its_owner_only(tmp_path):
    file = tmp_path / "keys" / "secret.key"
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: open_vault("", file), range(8)))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret.key"]
    sealed = made[0].seal({"a": 1})
    assert all(one.open(sealed, "x") == {"a": 1} for one in made)


def test_a_file_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "secret.key"
    open_vault("", file)
    file.chmod(0o640)
    with pytest.raises(ChannelError, match="chmod 600"):
        open_vault("", file)


def test_the_environments_key_comes_first_and_keys_change_one_after_the_other(tmp_path):
    sealed = open_vault(OLD, tmp_path / "none").seal({"a": 1})
    assert open_vault(f"{NEW},{OLD}", tmp_path / "none").open(sealed, "x") == {"a": 1}
    with pytest.raises(ChannelError, match="'x' have another key"):
        open_vault(NEW, tmp_path / "none").open(sealed, "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["x", "short,", OLD[:-4]], ids=["word", "list", "cut"])
def test_what_is_no_key_is_not_repeated(key):
    with pytest.raises(ChannelError, match="does not hold a Fernet key") as caught:
        Vault(key)
    assert caught.value.__cause__ is None
    assert key not in str(caught.value).split()
