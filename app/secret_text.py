"""Secrets: telling weak ones, and making those of demo mode."""

import base64
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

SHORTEST_SECRET = 32  # characters; with base64 that is 192 bits
# Random text of 32 characters has about 20 different ones even in hexadecimal 12.
FEWEST_DIFFERENT = 10
WEAK_WORDS = re.compile(
    r"change.?me|password|secret|example|placeholder|default|12345678|abcdefgh|qwerty", re.I
)


def check_secret(text: str) -> None:
    """Raises ValueError when a secret is obviously weak; never quotes it."""
    if len(text) < SHORTEST_SECRET:
        raise ValueError(
            f"it is too short, {SHORTEST_SECRET} characters are the least (`openssl rand -base64 32`)"
        )
    if len(set(text)) < FEWEST_DIFFERENT or WEAK_WORDS.search(text) or _repeats(text):
        raise ValueError("it is easy to guess, make a random one (`openssl rand -base64 32`)")


def _repeats(text: str) -> bool:
    """Whether the text is one shorter piece over and over."""
    return text in (text + text)[1:-1]


@dataclass(frozen=True)
class DemoSecrets:
    """The secrets of one data folder, in the form of the settings."""

    secret_key: str
    token_private_key: str


def demo_secrets(data_dir: Path) -> DemoSecrets:
    """The secrets below a data folder, made at the first call. Raises OSError."""
    folder = data_dir / "secrets"
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return DemoSecrets(
        secret_key=_kept(folder / "secret_key"),
        token_private_key=_kept(folder / "token_private_key"),
    )


def _kept(path: Path) -> str:
    """32 random bytes as base64, the same ones as long as the file is there."""
    try:
        if text := path.read_text().strip():
            return text
    except FileNotFoundError:
        pass
    making = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    making.touch(mode=0o600)
    making.write_text(base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    try:
        os.link(making, path)  # never over a file that a second start has just made
    except FileExistsError:
        if not path.read_text().strip():
            making.replace(path)
            return path.read_text().strip()
    making.unlink()
    return path.read_text().strip()
