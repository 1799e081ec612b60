"""The settings that a deployment makes, read from the environment by the faces only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "HANZO_REPORTS_"


class Settings(BaseModel):
    """One deployment's settings; each is read from ``HANZO_REPORTS_`` and its name in capitals.

    Args:
        store: where events live: a folder or a database URL.
        tz: the IANA zone in which days and months are cut.
        reports: the folder that report runs are written to.
        engine: what reads a folder: duckdb or spark.
        spark_master: the Spark master, for example spark://host:7077; empty: Spark's own setting, else this machine.
        state: where a ClickHouse store keeps its state: a SQLite file, or the postgresql:// address of a store.
        secret_key: Fernet keys joined by commas, which seal the secrets of channels; empty: those of `key_file`.
        key_file: a file of mode 0600 with such a key, made on first use.
        allow_hosts: hosts joined by commas that webhooks may go to although they are not public.
        apprise: the Apprise schemes joined by commas that channels may use.
        link: where reports are served; messages link there.
        delay: how late events may arrive: alerts look at windows that ended so long ago.
    """

    model_config = ConfigDict(frozen=True)

    store: str = "./warehouse"
    tz: str = "UTC"
    reports: str = "./reports"
    engine: str = ""
    spark_master: str = ""
    state: str = ""
    secret_key: SecretStr = SecretStr("")
    key_file: str = "~/.config/hanzo-reports/secret.key"
    allow_hosts: str = ""
    apprise: str = ""
    link: str = ""
    delay: str = "60s"

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """The settings found in an environment; unset or empty ones keep their defaults."""
        given = {name: environment.get(PREFIX + name.upper(), "") for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in given.items() if value})

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The hosts of `allow_hosts`, in lower case."""
        return tuple(_split(self.allow_hosts.lower()))

    @property
    def apprise_schemes(self) -> tuple[str, ...]:
        """The schemes of `apprise`."""
        return tuple(_split(self.apprise))


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
