"""Read and check the environment variables, once at the start of a process."""

import functools
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.arguments import INTERVAL_SECONDS, PORTS, RETENTION_SECONDS
from app.core.calendar_setting import CalendarRule, calendar_names, parse_calendars
from app.core.errors import SettingError
from app.core.feed_url import check_feed_url
from app.core.loopback import loopback
from app.core.redis_url import (
    as_kombu_url,
    check_broker_url,
    check_data_url,
    check_host,
    database_of,
    tcp_url,
)

# Too long to be guessed at any rate of requests.
MIN_TOKEN_LENGTH = 16

# In place of a folder: none is kept, not even by `make run`.
NO_HISTORY = "off"

Port = Annotated[int, Field(ge=PORTS[0], le=PORTS[1])]


def _env(name: str) -> AliasChoices:
    return AliasChoices(name)


class Settings(BaseSettings):
    """All settings; each field's alias is the name of its environment variable."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    redis_url_given: SecretStr | None = Field(None, validation_alias=_env("REDIS_URL"))
    redis_host: str = Field(default_factory=loopback, validation_alias=_env("REDIS_HOST"))
    redis_port: Port = Field(6379, validation_alias=_env("REDIS_PORT"))
    redis_db: int = Field(0, ge=0, le=1023, validation_alias=_env("REDIS_DB"))
    redis_password: SecretStr | None = Field(None, validation_alias=_env("REDIS_PASSWORD"))
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", validation_alias=_env("LOG_LEVEL")
    )
    log_format: Literal["text", "json"] = Field(
        "text", validation_alias=_env("ORDERFLOW_LOG_FORMAT")
    )
    interval_seconds: int = Field(
        1,
        ge=INTERVAL_SECONDS[0],
        le=INTERVAL_SECONDS[1],
        validation_alias=_env("PROCESSOR_INTERVAL"),
    )
    settle_ms: int = Field(200, ge=0, le=900, validation_alias=_env("ORDERFLOW_SETTLE_MS"))
    retention_seconds: int = Field(
        3600,
        ge=RETENTION_SECONDS[0],
        le=RETENTION_SECONDS[1],
        validation_alias=_env("ORDERFLOW_RETENTION_SECONDS"),
    )
    max_records: int = Field(
        100_000, ge=1000, le=10_000_000, validation_alias=_env("ORDERFLOW_MAX_RECORDS")
    )
    shards: int = Field(3, ge=1, le=64, validation_alias=_env("ORDERFLOW_SHARDS"))
    shard: int | None = Field(None, ge=0, le=63, validation_alias=_env("ORDERFLOW_SHARD"))
    workers: int = Field(3, ge=1, le=64, validation_alias=_env("ORDERFLOW_WORKERS"))
    fast_path: bool = Field(default=True, validation_alias=_env("ORDERFLOW_FAST_PATH"))
    traced_ticks: int = Field(20, ge=0, le=1000, validation_alias=_env("ORDERFLOW_TRACED_TICKS"))
    calendars_given: str | None = Field(None, validation_alias=_env("ORDERFLOW_CALENDARS"))
    feed: str = Field("simulate", validation_alias=_env("ORDERFLOW_FEED"))
    feed_url_given: SecretStr | None = Field(None, validation_alias=_env("ORDERFLOW_FEED_URL"))
    broker_url_given: SecretStr | None = Field(None, validation_alias=_env("ORDERFLOW_BROKER_URL"))
    cluster: bool = Field(default=False, validation_alias=_env("ORDERFLOW_CLUSTER"))
    mcp_host: str = Field(default_factory=loopback, validation_alias=_env("ORDERFLOW_MCP_HOST"))
    mcp_port: Port = Field(8765, validation_alias=_env("ORDERFLOW_MCP_PORT"))
    mcp_hosts_given: str | None = Field(None, validation_alias=_env("ORDERFLOW_MCP_ALLOWED_HOSTS"))
    mcp_token: SecretStr | None = Field(
        None, min_length=MIN_TOKEN_LENGTH, validation_alias=_env("ORDERFLOW_MCP_TOKEN")
    )
    mcp_token_file: Path | None = Field(None, validation_alias=_env("ORDERFLOW_MCP_TOKEN_FILE"))
    mcp_requests_per_minute: int = Field(
        6000, ge=60, le=1_000_000, validation_alias=_env("ORDERFLOW_MCP_REQUESTS_PER_MINUTE")
    )
    mcp_connections: int = Field(
        800, ge=4, le=100_000, validation_alias=_env("ORDERFLOW_MCP_CONNECTIONS")
    )
    webhook_secret: SecretStr | None = Field(
        None,
        min_length=MIN_TOKEN_LENGTH,
        max_length=1024,
        validation_alias=_env("ORDERFLOW_WEBHOOK_SECRET"),
    )
    history_given: str | None = Field(None, validation_alias=_env("ORDERFLOW_HISTORY"))
    history_days: int = Field(30, ge=1, le=3650, validation_alias=_env("ORDERFLOW_HISTORY_DAYS"))
    history_mb: int = Field(
        10_000, ge=10, le=100_000_000, validation_alias=_env("ORDERFLOW_HISTORY_MB")
    )
    flower_host: str = Field(
        default_factory=loopback, validation_alias=_env("ORDERFLOW_FLOWER_HOST")
    )
    flower_port: Port = Field(5555, validation_alias=_env("ORDERFLOW_FLOWER_PORT"))

    @field_validator("redis_host")
    @classmethod
    def _check_redis_host(cls, host: str) -> str:
        check_host(host)
        return host

    @field_validator("redis_password")
    @classmethod
    def _check_redis_password(cls, password: SecretStr | None) -> SecretStr | None:
        if password is not None:
            password.get_secret_value().encode()  # bytes that are no UTF-8 can't be sent as text
        return password

    @field_validator("redis_url_given")
    @classmethod
    def _check_redis_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            check_data_url(url.get_secret_value())
        return url

    @field_validator("broker_url_given")
    @classmethod
    def _check_broker_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            check_broker_url(url.get_secret_value())
        return url

    @field_validator("feed_url_given")
    @classmethod
    def _check_feed_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            check_feed_url(url.get_secret_value())
        return url

    @field_validator("calendars_given")
    @classmethod
    def _check_calendars(cls, text: str | None) -> str | None:
        parse_calendars(text or "")
        return text

    @property
    def calendars(self) -> tuple[CalendarRule, ...]:
        """Return which tickers have which calendar, beside the usual ones."""
        return parse_calendars(self.calendars_given or "")

    @property
    def history(self) -> Path | None:
        """Return the folder of the history, None where none is kept."""
        given = self.history_given
        return None if given in {None, NO_HISTORY} else Path(given or "")

    @property
    def feed_url(self) -> str | None:
        """Return the address that replaces a venue's own; it may hold a password: never log it."""
        return None if self.feed_url_given is None else self.feed_url_given.get_secret_value()

    @property
    def redis_url(self) -> str:
        """Return Redis's URL with its password; never log it."""
        if self.redis_url_given is not None:
            return self.redis_url_given.get_secret_value()
        password = None if self.redis_password is None else self.redis_password.get_secret_value()
        return tcp_url(self.redis_host, self.redis_port, self.redis_db, password)

    @property
    def redis_database(self) -> int:
        """Return the number of the database in Redis."""
        return database_of(self.redis_url)

    @property
    def broker_url(self) -> str:
        """Return the URL of Celery's broker, in kombu's words; by default the same Redis.

        It holds the password: never log it.
        """
        given = self.broker_url_given
        return as_kombu_url(self.redis_url if given is None else given.get_secret_value())

    @property
    def is_broker_the_data(self) -> bool:
        """Return whether one Redis holds the data and Celery's messages."""
        return self.broker_url == as_kombu_url(self.redis_url)

    @property
    def mcp_hosts(self) -> list[str]:
        """Return the further host names by which clients may address the MCP server."""
        return [name.strip() for name in (self.mcp_hosts_given or "").split(",") if name.strip()]

    def mcp_bearer_tokens(self) -> list[str]:
        """Return the bearer tokens of MCP clients: the variable's, and one a line of the file.

        Raises `SettingError`, whose message never contains the file's content.
        """
        given = [] if self.mcp_token is None else [self.mcp_token.get_secret_value()]
        return given + (
            [] if self.mcp_token_file is None else _read_token_file(self.mcp_token_file)
        )

    @property
    def interval_ms(self) -> int:
        """Return the time from one tick to the next in milliseconds."""
        return self.interval_seconds * 1000


def _read_token_file(path: Path) -> list[str]:
    start = f"ORDERFLOW_MCP_TOKEN_FILE={str(path)!r}"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{start} can't be read: {type(error).__name__}") from None
    tokens = [line.strip() for line in lines if line.strip()]
    if not tokens or min(map(len, tokens)) < MIN_TOKEN_LENGTH:
        raise SettingError(
            f"{start} is not allowed; allowed: a file with a token a line, each of at least "
            f"{MIN_TOKEN_LENGTH} characters"
        )
    return tokens


_HIDDEN_NAME_PARTS = ("PASSWORD", "URL", "TOKEN")
"""Parts of the names of variables whose values are never shown."""


_URL_RULES = "with an address and known options; special characters of a password as %23 for #"
_ALLOWED = {
    "REDIS_URL": f"redis://, rediss:// or unix:// {_URL_RULES}",
    "REDIS_PASSWORD": "any text in UTF-8",
    "ORDERFLOW_FEED_URL": "ws:// or wss:// with a host; HOST:PORT for databento",
    "REDIS_HOST": "a host's name or address, without port, user or path",
    "ORDERFLOW_CALENDARS": "PATTERN=CALENDAR, separated by spaces, such as ES*=CMES; calendars: "
    + ", ".join(calendar_names()),
    "ORDERFLOW_BROKER_URL": f"redis://, rediss://, unix:// or sentinel:// {_URL_RULES}",
}


def _describe_faults(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        name = str(fault["loc"][0])
        given = os.environ.get(name, "")
        # An `@` may stand behind a password, in whichever variable it was put.
        is_hidden = "@" in given or any(part in name for part in _HIDDEN_NAME_PARTS)
        value = "(hidden)" if is_hidden else repr(given)
        lines.append(f"{name}={value} is not allowed; allowed: {_allowed(name)}")
    return "; ".join(lines)


def _allowed(name: str) -> str:
    """Return the values that a variable accepts, as text made from the field's schema."""
    schema = Settings.model_json_schema(by_alias=True)["properties"][name]
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind["type"] != "null"]
    kind = kinds[0]
    if name in _ALLOWED:
        return _ALLOWED[name]
    if "enum" in kind:
        return ", ".join(kind["enum"])
    if "minimum" in kind:
        return f"whole numbers from {kind['minimum']} to {kind['maximum']}"
    if "minLength" in kind:
        return f"a text of at least {kind['minLength']} characters"
    return "0, 1, true or false" if kind["type"] == "boolean" else f"a {kind['type']}"


def read_settings() -> Settings:
    """Read the environment.

    Raises `SettingError` with a line that names the variable, its value and what is allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingError(_describe_faults(error)) from None


@functools.cache
def settings() -> Settings:
    """Return the process's settings; exit with the error's line if a value is not allowed."""
    try:
        return read_settings()
    except SettingError as error:
        sys.exit(f"orderflow: {error}")
