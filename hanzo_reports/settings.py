"""The settings of a deployment, read from the environment by the faces only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "HANZO_REPORTS_"


class Settings(BaseModel):
    """The settings of one deployment; each is read from the variable ``HANZO_REPORTS_`` and its name in capitals."""

    model_config = ConfigDict(frozen=True)

    store: str = Field("./warehouse", description="Where events are stored: a folder or a database address.")
    tz: str = Field("UTC", description="The IANA time zone that days, weeks and months follow.")
    reports: str = Field("./reports", description="The folder that reports are written to.")
    engine: str = Field("", description="The engine that reads a folder: duckdb or spark; empty: duckdb.")
    spark_master: str = Field(
        "", description="The Spark master, such as spark://host:7077; empty: Spark's own setting, else this machine."
    )
    state: str = Field(
        "",
        description="Where a ClickHouse store keeps its state: a SQLite file, or the postgresql:// address of a store.",
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Fernet keys, separated by commas, that encrypt the secrets of channels; empty: the key file's.",
    )
    key_file: str = Field(
        "~/.config/hanzo-reports/secret.key", description="The file with the Fernet key, created on first use."
    )
    allow_hosts: str = Field(
        "", description="Hosts, separated by commas, that webhooks may be sent to although they are not public."
    )
    apprise: str = Field("", description="Apprise schemes, separated by commas, that channels may use.")
    link: str = Field("", description="The address that reports are served at; messages link to it.")
    delay: str = Field(
        "60s", description="How late events may arrive; alerts look at windows that ended this long ago."
    )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """The settings of an environment; a variable that is unset or empty keeps its default."""
        values = {name: environment.get(PREFIX + name.upper(), "") for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in values.items() if value})

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The hosts of `allow_hosts`, in lower case."""
        return tuple(_split_words(self.allow_hosts.lower()))

    @property
    def apprise_schemes(self) -> tuple[str, ...]:
        """The schemes of `apprise`."""
        return tuple(_split_words(self.apprise))


def _split_words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
