"""Settings: the right ones are read, a wrong one is named in one sentence, and no secret is ever shown."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.settings import Settings, WrongSetting, read_settings, settings_table

ROOT = Path(__file__).parents[2]
SECRET = "p3mXo0kQv7sYb1uZt9rWc5hLj8nEa2gD4fKiTqUeVxM="
KEY = base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()
PEM = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without any setting of ours."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("MAYDAN_DATA_DIR", str(tmp_path / "data"))


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return read_settings()


def refusal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    with pytest.raises(WrongSetting) as refused:
        read(monkeypatch, **environment)
    return str(refused.value)


def test_production_needs_nothing_but_its_two_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = read(monkeypatch, SECRET_KEY=SECRET, TOKEN_PRIVATE_KEY=KEY)
    assert not settings.demo
    assert not settings.serves_graphiql
    assert settings.logs_json
    assert settings.base_url == "http://127.0.0.1:8000"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "key", [PEM, PEM.replace("\n", "\\n"), KEY.rstrip("=")], ids=["pem", "pem-line", "base64"]
)
def test_the_signing_key_may_be_pem_or_base64(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    assert read(monkeypatch, SECRET_KEY=SECRET, TOKEN_PRIVATE_KEY=key).token_private_key is not None


def test_demo_mode_makes_its_secrets_once_for_us_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = read(monkeypatch, DEMO="true"), read(monkeypatch, DEMO="true")
    assert first.secret_key == second.secret_key
    assert first.token_private_key == second.token_private_key
    assert first.serves_graphiql
    folder = tmp_path / "data" / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "secret_key": 0o600,
        "token_private_key": 0o600,
    }


def test_given_secrets_win_over_those_of_demo_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, DEMO="1", SECRET_KEY=SECRET).secret == SECRET.encode()


def test_an_empty_variable_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, DEMO="1", PORT="", DATABASE_URL="", WORKERS="").port is None


def test_workers_read_the_very_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        DEMO="1",
        TRUSTED_PROXIES="10.0.0.0/8, ::1",
        CORS_ORIGINS="https://App.example/, http://localhost:3000",
        PUBLIC_URL="https://maydan.example/",
        ACCESS_TOKEN_SECONDS="60",
        DATABASE_URL="postgresql://maydan@/maydan?host=%2Ftmp%2Fx",
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert settings.cors_origins == ("https://app.example", "http://localhost:3000")
    assert settings.base_url == "https://maydan.example"


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("PORT", "http", "not a whole number"),
        ("PORT", "65536", "65535"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("DEMO", "perhaps", "neither true nor false"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy", "neither an IP address nor a network"),
        ("CORS_ORIGINS", "localhost", "is no origin"),
        ("CORS_ORIGINS", "https://app.example, https://a.example/x", "is no origin"),
        ("DATABASE_URL", "mysql://user:hunter2@host/db", "postgresql://"),
        ("REDIS_URL", "http://host", "redis://"),
        ("REDIS_URL", "redis+cluster://:hunter2@host:6379,:6380", "name nodes with commas"),
        ("REDIS_URL", "redis+cluster://:hunter2@host:port", "name nodes with commas"),
        ("REDIS_URL", "redis+cluster://:hunter2@host:6379/1", "no databases"),
        ("PUBLIC_URL", "maydan.example", "https://"),
        ("SECRET_KEY", "short-hunter2", "too short"),
        ("SECRET_KEY", "hunter2" * 8, "easy to guess"),
        ("SECRET_KEY", "changeme-hunter2-changeme-hunter2-qwertyuiop", "easy to guess"),
        ("SECRET_KEY", "h" * 64, "easy to guess"),
        ("TOKEN_PRIVATE_KEY", "hunter2", "32 bytes"),
        ("TOKEN_PRIVATE_KEY", "A" * 43 + "=", "random"),
        ("TOKEN_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----", "PEM"),
        ("TOKEN_PUBLIC_KEYS", '{"hunter2": 1}', "JWKS"),
    ],
)
def test_a_wrong_setting_is_named_in_one_sentence_that_hides_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, what: str
) -> None:
    sentence = refusal(monkeypatch, **{"DEMO": "1", name: value})
    assert sentence.startswith(f"{name} is wrong: ")
    assert what in sentence
    assert "hunter2" not in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize("missing", ["SECRET_KEY", "TOKEN_PRIVATE_KEY"])
def test_outside_demo_mode_a_missing_secret_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    given = {"SECRET_KEY": SECRET, "TOKEN_PRIVATE_KEY": KEY}
    given.pop(missing)
    assert refusal(monkeypatch, **given).startswith(f"{missing} is missing; make one with ")


def test_secrets_are_not_shown_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = repr(read(monkeypatch, SECRET_KEY=SECRET, TOKEN_PRIVATE_KEY=KEY))
    assert SECRET not in shown
    assert KEY not in shown


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_the_process_ends_with_status_2_and_that_sentence_alone(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", command],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "SECRET_KEY": "hunter2"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("maydan: SECRET_KEY is wrong: it is too short")
    assert len(done.stderr.splitlines()) == 1


def test_the_table_for_the_readme_has_every_setting() -> None:
    table = settings_table()
    for name in Settings.model_fields:
        assert f"| `{name.upper()}` |" in table
