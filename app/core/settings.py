"""Read and check the environment variables, once at the start of a process."""

import functools
import os
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis import ConnectionPool, RedisError

from app.core.arguments import INTERVAL_SECONDS, PORTS, RETENTION_SECONDS
from app.core.errors import SettingError

# Too long to be guessed at any rate of requests.
MIN_TOKEN_LENGTH = 16

Port = Annotated[int, Field(ge=PORTS[0], le=PORTS[1])]


def _env(name: str) -> AliasChoices:
    return AliasChoices(name)


class Settings(BaseSettings):
    """All settings; each field's alias is the name of its environment variable."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    redis_url_given: SecretStr | None = Field(None, validation_alias=_env("REDIS_URL"))
    redis_host: str = Field("127.0.0.1", validation_alias=_env("REDIS_HOST"))
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
    feed: str = Field("simulate", validation_alias=_env("ORDERFLOW_FEED"))
    broker_url_given: SecretStr | None = Field(None, validation_alias=_env("ORDERFLOW_BROKER_URL"))
    cluster: bool = Field(default=False, validation_alias=_env("ORDERFLOW_CLUSTER"))
    mcp_host: str = Field("127.0.0.1", validation_alias=_env("ORDERFLOW_MCP_HOST"))
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
    flower_host: str = Field("127.0.0.1", validation_alias=_env("ORDERFLOW_FLOWER_HOST"))
    flower_port: Port = Field(5555, validation_alias=_env("ORDERFLOW_FLOWER_PORT"))

    @field_validator("redis_url_given")
    @classmethod
    def _check_redis_url(cls, url: SecretStr | None) -> SecretStr | None:
        """Reject a URL that redis-py would reject later, with the URL in its traceback."""
        if url is not None:
            try:
                pool = ConnectionPool.from_url(url.get_secret_value())
                pool.connection_class(**pool.connection_kwargs)
            except (ValueError, TypeError, RedisError):
                raise ValueError("no address of a Redis") from None
        return url

    @property
    def redis_url(self) -> str:
        """Return Redis's URL with its password; never log it."""
        if self.redis_url_given is not None:
            return self.redis_url_given.get_secret_value()
        password = self.redis_password
        secret = f":{quote(password.get_secret_value(), safe='')}@" if password else ""
        return f"redis://{secret}{self.redis_host}:{self.redis_port}/{self.redis_db}"

    @property
    def broker_url(self) -> str:
        """Return the URL of Celery's broker with its password; by default the same Redis."""
        if self.broker_url_given is not None:
            return self.broker_url_given.get_secret_value()
        return self.redis_url

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


def _describe_faults(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        name = str(fault["loc"][0])
        is_hidden = any(part in name for part in _HIDDEN_NAME_PARTS)
        value = "(hidden)" if is_hidden else repr(os.environ.get(name))
        lines.append(f"{name}={value} is not allowed; allowed: {_allowed(name)}")
    return "; ".join(lines)


def _allowed(name: str) -> str:
    """Return the values that a variable accepts, as text made from the field's schema."""
    schema = Settings.model_json_schema(by_alias=True)["properties"][name]
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind["type"] != "null"]
    kind = kinds[0]
    if name == "REDIS_URL":
        return "redis://, rediss:// or unix:// with an address and known options"
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
