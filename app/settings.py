"""Settings from the environment: what they mean, what is wrong with them, and how workers get them.

`load()` is for the process a person starts (it may generate demo secrets); `Settings()` is for the workers, which
get everything through the environment that `Settings.environment()` makes.
"""

import base64
import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app import valkey_urls
from app.costs import Budget
from app.secret_text import check_secret, demo_secrets
from app.tokens import TokenKeys
from resolvers.context import Allowance, Limits

# Points/seconds. In demo mode everybody is one of two accounts.
BUDGET, DEMO_BUDGET = "60000/60", "6000000/60"


class Settings(BaseSettings):
    """Everything that can be set, from environment variables of the same names in upper case."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, case_sensitive=False
    )

    demo: bool = Field(
        False,
        description="Demo mode: seeds an empty database, makes its own secrets, lets anybody act as a demo user.",
    )
    database_url: str | None = Field(
        None,
        description="PostgreSQL, `postgresql://user:password@host/database`; without it one is embedded.",
    )
    redis_url: str | None = Field(
        None,
        description="Valkey or Redis, `redis://host:6379/0`, or nodes of a cluster, "
        "`redis+cluster://host1:6379,host2:6379` (decision 0010); without it one is embedded.",
    )
    maydan_data_dir: Path = Field(
        Path(".data"), description="Folder of the embedded servers and the demo secrets."
    )
    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for all.")
    port: int | None = Field(
        None, ge=1, le=65535, description="Port to listen on; without it the next free one from 8000."
    )
    workers: int = Field(1, ge=1, le=64, description="Processes that serve; they share the port.")
    public_url: str | None = Field(
        None,
        description="Where clients reach this server; issuer of the tokens. "
        "Without it http://HOST:PORT, and the issuer `maydan`.",
    )
    secret_key: SecretStr | None = Field(
        None,
        description="At least 32 random characters (`openssl rand -base64 32`); refresh tokens rest on it. "
        "Required outside demo mode.",
    )
    token_private_key: SecretStr | None = Field(
        None,
        description="Ed25519 key that signs access tokens: PEM (`openssl genpkey -algorithm ed25519`) or the base64 of "
        "its 32 bytes. Required outside demo mode.",
    )
    token_public_keys: str | None = Field(
        None, description="Older Ed25519 public keys whose tokens are still accepted: a JWKS, or PEM blocks."
    )
    access_token_seconds: int = Field(900, ge=10, le=86_400, description="Life of an access token, seconds.")
    refresh_token_days: int = Field(30, ge=1, le=365, description="Life of a refresh token, days.")
    sign_in_per_account: str = Field(
        "10/900", description="Failed sign-ins to one account, attempts/seconds."
    )
    sign_in_per_address: str = Field(
        "100/900", description="Failed sign-ins from one address (IPv6: /64), attempts/seconds."
    )
    sign_up_per_address: str = Field(
        "200/3600", description="Sign-ups from one address (IPv6: /64), attempts/seconds."
    )
    cost_limit: int = Field(
        5000, ge=0, description="Points that one operation may cost at most (decision 0009); `0` for any."
    )
    cost_budget: str | None = Field(
        None,
        description="Points that a viewer, or an address without one, has, and the seconds in which they come back, "
        "points/seconds; `0` for no budgets. Without it 60000/60, in demo mode a hundred times that.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses or networks, with commas, whose X-Forwarded-For is believed."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins, with commas, whose pages may call this API from a browser; `*` for all."
    )
    database_pool_size: int = Field(
        10, ge=1, le=500, description="Connections to PostgreSQL for each worker."
    )
    graphiql: bool | None = Field(None, description="Serve GraphiQL; without it as DEMO.")
    introspection: bool | None = Field(
        None,
        description="Let clients read the schema (introspection, /schema.graphql) and suggest names to them; "
        "without it as DEMO.",
    )
    documents: Literal["any", "log", "trusted"] = Field(
        "any",
        description="Which documents run: any; log the ones that were not imported; trusted, only imported ones.",
    )
    validation_status: Literal["400", "422"] = Field(
        "400", description="HTTP status of documents that are not valid: 400 or 422."
    )
    operation_seconds: int = Field(
        10, ge=1, le=300, description="Longest time a query or mutation may take, seconds."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged: debug, info, warning or error."
    )
    log_format: Literal["console", "json"] | None = Field(
        None, description="console or json; without it console in demo mode, json otherwise."
    )
    max_body_bytes: int = Field(262_144, ge=1024, le=67_108_864, description="Largest request body, bytes.")
    max_response_characters: int = Field(
        4_194_304, ge=65_536, le=67_108_864, description="Largest answer, characters of its values."
    )
    shutdown_seconds: int = Field(
        10, ge=0, le=600, description="Time that running operations get when the server stops, seconds."
    )

    @field_validator("sign_in_per_account", "sign_in_per_address", "sign_up_per_address")
    @classmethod
    def _is_allowance(cls, value: str) -> str:
        attempts, _, seconds = value.partition("/")
        if not (attempts.isascii() and attempts.isdigit() and seconds.isascii() and seconds.isdigit()):
            raise ValueError("write it as attempts/seconds, such as 10/900")
        if not int(attempts) or not int(seconds):
            raise ValueError("neither number may be 0")
        return value

    @field_validator("cost_budget")
    @classmethod
    def _is_budget(cls, value: str | None) -> str | None:
        if value is None:
            return None
        points, _, seconds = value.partition("/")
        if value != "0" and not (_is_count(points) and _is_count(seconds)):
            raise ValueError("write it as points/seconds, such as 60000/60, or 0 for none")
        return value

    @field_validator("log_level", "log_format", "documents", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("it must start with postgresql://")
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str | None) -> str | None:
        return value if value is None else valkey_urls.check(value)

    @field_validator("public_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("it must start with https:// or http://")
        return value.rstrip("/") if value else value

    @field_validator("trusted_proxies", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        origins = tuple(part.lower().rstrip("/") for part in value)
        for origin in origins:
            scheme, _, host = origin.partition("://")
            if origin != "*" and (scheme not in ("http", "https") or not host or "/" in host):
                raise ValueError(
                    f"{origin[:60]!r} is no origin; write it as https://app.example, without a path"
                )
        return origins

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            try:
                ip_network(part, strict=False)
            except ValueError:
                raise ValueError(
                    f"{part!r} is neither an IP address nor a network such as 10.0.0.0/8"
                ) from None
        return value

    @field_validator("secret_key")
    @classmethod
    def _is_strong(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_secret(value.get_secret_value())
        return value

    @field_validator("token_private_key")
    @classmethod
    def _is_private_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            TokenKeys.from_settings(value.get_secret_value())
        return value

    @field_validator("token_public_keys")
    @classmethod
    def _are_public_keys(cls, value: str | None) -> str | None:
        if value is not None:
            # Any private key will do: only the public ones are looked at.
            TokenKeys.from_settings(base64.b64encode(bytes(range(32))).decode(), value)
        return value

    @model_validator(mode="after")
    def _secrets_are_there(self) -> "Settings":
        for name, how in (
            ("secret_key", "openssl rand -base64 32"),
            ("token_private_key", "openssl rand -base64 32"),
        ):
            if getattr(self, name) is None:
                raise ValueError(
                    f"{name.upper()} is missing; make one with `{how}`, or set DEMO=true to try things out"
                )
        return self

    @property
    def secret(self) -> bytes:
        """SECRET_KEY as bytes, to derive keys from."""
        assert self.secret_key is not None
        return self.secret_key.get_secret_value().encode()

    @property
    def limits(self) -> Limits:
        """How often somebody may try to sign up and in."""
        return Limits(
            _allowance(self.sign_in_per_account),
            _allowance(self.sign_in_per_address),
            _allowance(self.sign_up_per_address),
        )

    @property
    def budget(self) -> Budget | None:
        """What a viewer or an address may spend; None for any amount."""
        points, _, seconds = (self.cost_budget or (DEMO_BUDGET if self.demo else BUDGET)).partition("/")
        return Budget(int(points), int(seconds)) if seconds else None

    @property
    def serves_graphiql(self) -> bool:
        """Whether /graphiql is there."""
        return self.demo if self.graphiql is None else self.graphiql

    @property
    def serves_introspection(self) -> bool:
        """Whether the schema may be read."""
        return self.demo if self.introspection is None else self.introspection

    @property
    def logs_json(self) -> bool:
        """Whether log lines are JSON."""
        return not self.demo if self.log_format is None else self.log_format == "json"

    @property
    def base_url(self) -> str:
        """Where clients reach this server, without a slash at the end."""
        if self.public_url:
            return self.public_url
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port or 8000}"

    def environment(self, **changes: str) -> dict[str, str]:
        """These settings as environment variables, for worker processes; `changes` by variable name."""
        values: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            elif isinstance(value, tuple):
                value = ",".join(value)
            values[name.upper()] = (
                "" if value is None else str(value)
            )  # an empty variable is as if it were not set
        return values | changes


def _is_count(text: str) -> bool:
    """Whether a number from 1 on; no longer than anybody means, so that products of it stay exact."""
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0


def _allowance(text: str) -> Allowance:
    attempts, _, seconds = text.partition("/")
    return Allowance(int(attempts), timedelta(seconds=int(seconds)))


class WrongSetting(Exception):
    """A setting cannot be used; the message is one sentence that names it and says what to do."""


def read_settings(**given: Any) -> Settings:
    """Settings from the environment, in demo mode with secrets of its own. Raises WrongSetting.

    `given` wins over the environment (for tests).
    """
    try:
        first = _Secretless(**given)
        if first.demo:
            try:
                kept = demo_secrets(first.maydan_data_dir)
            except OSError as error:
                raise WrongSetting(
                    f"MAYDAN_DATA_DIR is wrong: secrets cannot be kept in {first.maydan_data_dir} ({error.strerror})."
                ) from None
            found = {
                "secret_key": first.secret_key or SecretStr(kept.secret_key),
                "token_private_key": first.token_private_key or SecretStr(kept.token_private_key),
            }
            given = {**given, **found}
        return Settings(**given)
    except ValidationError as error:
        raise WrongSetting(_sentence(error)) from None


def load() -> Settings:
    """Settings for the command line: a wrong one ends the process with status 2 and one sentence on stderr."""
    try:
        return read_settings()
    except WrongSetting as error:
        _stop(str(error))


def _stop(sentence: str) -> NoReturn:
    print(f"maydan: {sentence}", file=sys.stderr)
    raise SystemExit(2)


class _Secretless(Settings):
    """Settings before the demo secrets are known."""

    @model_validator(mode="after")
    def _secrets_are_there(self) -> "_Secretless":
        return self


_WANTED = {
    "int_parsing": "it is not a whole number",
    "bool_parsing": "it is neither true nor false",
}


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong. Never quotes the value: it may be a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=True)[0]
    what = _WANTED.get(first["type"], first["msg"].removeprefix("Value error, "))
    what = what.replace("Input should be", "it must be").rstrip(".")
    if not first["loc"]:
        return f"{what}."
    advice = "" if "openssl" in what else "; set it to something else, or unset it to get the default"
    return f"{str(first['loc'][0]).upper()} is wrong: {what}{advice}."


def settings_table() -> str:
    """The settings as a Markdown table, for the README."""
    lines = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, tuple):
            default = ",".join(default)
        shown = (
            ""
            if default is None or default == ""
            else f"`{str(default).lower() if default is False else default}`"
        )
        lines.append(f"| `{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(settings_table(), end="")
