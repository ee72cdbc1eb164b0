"""The house's files keep its rules; and the lints find those that do not."""

import ast
import importlib.metadata
import importlib.util
import re
import string
import subprocess
from functools import cache
from pathlib import Path

import pytest

from app.settings import settings_table
from resolvers.messages import LANGUAGES, SENTENCES, Message
from tests.houserules import file_lint
from tests.houserules.tables import ROOT
from tests.houserules.violations import Violation, told

# Made by others and served as they are.
VENDORED = ("app/graphiql/assets/",)
README = ROOT / "README.md"


@cache
def files() -> dict[str, str]:
    """The text files of this checkout that git has or would take, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    paths = listed.stdout.decode().split("\0")
    if listed.returncode != 0:  # not a git checkout: all but what a dot hides
        everything = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        paths = [str(path) for path in everything if not any(part.startswith(".") for part in path.parts)]
    found = {}
    for path in paths:
        if path and not path.startswith((*VENDORED, *file_lint.EXAMPLES)) and (ROOT / path).is_file():
            content = (ROOT / path).read_bytes()
            if b"\0" not in content:
                found[path] = content.decode()
    return found


def python_files() -> list[str]:
    return [path for path in files() if path.endswith(".py")]


def test_python_files_are_short_described_and_explain_their_exceptions() -> None:
    found = [one for path in python_files() for one in file_lint.lint_python(path, files()[path])]
    assert not found, told(found)


def test_other_files_are_finished_and_bound_to_no_machine() -> None:
    found: list[Violation] = []
    for path, text in files().items():
        found += file_lint.lint_addresses(path, text)
        if not path.endswith(".py"):
            found += file_lint.lint_lines(path, text)
    assert not found, told(found)


def test_files_that_may_be_long_are_there_and_are_long() -> None:
    for path in file_lint.MAY_BE_LONG:
        assert files().get(path, "").count("\n") >= file_lint.LONG, (
            f"{path} is short; take it out of MAY_BE_LONG"
        )


ROOMS = ("app", "schema", "resolvers", "dataloaders", "sql", "execution", "bench", "tests")


@pytest.mark.parametrize("room", [room for room in ROOMS if (ROOT / room).is_dir()])
def test_no_installed_package_has_the_name_of_a_room(room: str) -> None:
    owners = importlib.metadata.packages_distributions().get(room, [])
    assert not owners, f"the installed {owners} brings a package {room!r}, which hides the room; use another"
    spec = importlib.util.find_spec(room)
    assert spec is not None
    assert [Path(path) for path in spec.submodule_search_locations or []] == [ROOT / room]


def holes(sentence: str) -> list[str]:
    """The names between braces."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None)


@pytest.mark.parametrize("message", list(Message))
def test_a_message_has_a_sentence_in_every_language(message: Message) -> None:
    sentences = SENTENCES[message]
    assert len(sentences) == len(LANGUAGES), (
        f"{message} is there in {len(sentences)} of {LANGUAGES}; add the others"
    )
    for language, sentence in zip(LANGUAGES, sentences, strict=True):
        assert sentence.strip() == sentence != "", f"{message} says nothing in {language}"
        assert holes(sentence) == holes(sentences[0]), (
            f"{message} has other holes in {language} than in {LANGUAGES[0]}"
        )
    assert re.search(r"[\u0600-\u06ff]", sentences[LANGUAGES.index("ar")]), (
        f"{message} is not Arabic where it should be"
    )
    assert len(set(sentences)) == len(sentences), f"{message} is the same in two languages"


def test_there_is_no_sentence_without_a_message() -> None:
    assert set(SENTENCES) == set(Message)


def between(text: str, begin: str, end: str) -> str:
    """What stands between two markers, each of them once in the text."""
    assert text.count(begin) == text.count(end) == 1, f"put {begin} … {end} around it, once"
    return text.split(begin)[1].split(end)[0].strip()


def test_the_readme_has_the_settings_as_they_are() -> None:
    written = between(README.read_text(encoding="utf-8"), "<!-- settings -->", "<!-- /settings -->")
    assert written == settings_table().strip(), (
        "the settings in README.md are not those of app/settings.py; put in what `python -m app.settings` prints"
    )


def targets(makefile: str) -> list[str]:
    """What `make` lists."""
    return re.findall(r"^([a-z-]+):[^#\n]*## ", makefile, re.MULTILINE)


def test_the_readme_tells_of_every_make_target() -> None:
    readme = README.read_text(encoding="utf-8")
    found = targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert len(found) > 8
    for target in found:
        if target != "help":
            assert re.search(rf"\bmake {target}\b(?!-)", readme), (
                f"README.md does not mention `make {target}`; add a line"
            )


def test_every_make_target_is_listed() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(targets(makefile)), (
        "give each target in .PHONY a sentence after ##"
    )


# What the lints find ----------------------------------------------------------------------------------------


def found_in(path: str, text: str) -> list[str]:
    """What the lints say of a Python file."""
    return [str(one) for one in [*file_lint.lint_python(path, text), *file_lint.lint_addresses(path, text)]]


GOOD = '"""What it is for."""\n'


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("app/a.py", GOOD + "x = 1\n" * 399, "app/a.py: 400 lines; split it by noun below 400"),
        ("app/a.py", GOOD + "x = 1\n" * 398, None),
        ("tests/test_a.py", "x = 1\n" * 400, "tests/test_a.py: 400 lines"),
        ("app/a.py", "x = 1\n", "app/a.py: the module has no docstring; say in a line"),
        ("app/a.py", GOOD + "def f(): ...\n", "app/a.py:2: f has no docstring"),
        ("app/a.py", GOOD + "class A: ...\n", "app/a.py:2: A has no docstring"),
        ("app/a.py", GOOD + "def _f(): ...\n", None),
        ("schema/a.py", GOOD + "@strawberry.type(description='An a.')\nclass A: ...\n", None),
        ("schema/a.py", GOOD + "@strawberry.type(name='A')\nclass A: ...\n", "A has no docstring"),
        ("dataloaders/rows.py", GOOD + "class IdRow(NamedTuple):\n    id: int\n", None),
        ("tests/test_a.py", "def test_it(): ...\n", None),
        ("app/a.py", GOOD + "x = 1  # noqa: E501\n", "app/a.py:2: noqa without a reason; add ' - '"),
        ("app/a.py", GOOD + "x = 1  # type: ignore[x]\n", "app/a.py:2: type: ignore without a reason"),
        ("app/a.py", GOOD + "x = 1  # noqa: E501 - it is a table\n", None),
        ("app/a.py", GOOD + "x = 1  # type: ignore[x]  # the stubs lag behind\n", None),
        ("app/a.py", GOOD + "# The stubs lag behind.\nx = 1  # type: ignore[x]\n", None),
        ("app/a.py", GOOD + "# TODO: mend\n", "app/a.py:2: TODO: do it now, or file an issue"),
        (
            "app/a.py",
            GOOD + 'x = "/home/me/data"\n',
            "app/a.py:2: /home/me is a folder that only one machine",
        ),
        ("app/a.py", GOOD + 'x = "/tmp/x", "app/home/page", "https://example.org/home/x"\n', None),
        (
            "app/a.py",
            GOOD + 'x = "https://registry.example/simple"\n',
            "is the address of a package registry",
        ),
        ("resolvers/a.py", GOOD + 'x = "SELECT 1"\n', "resolvers/a.py:2: SQL in code; make it a named query"),
        ("resolvers/a.py", GOOD + 'x = f"UPDATE posts SET a = {x}"\n', "resolvers/a.py:2: SQL in code"),
        ("resolvers/a.py", GOOD + 'x = q.text + " LIMIT $1"\n', "resolvers/a.py:2: SQL in code"),
        (
            "resolvers/a.py",
            GOOD + "x = Query('a', 'b', 'many', 'c', None)\n",
            "makes a Query; only sql/reader.py",
        ),
        ("resolvers/a.py", GOOD + 'x = "Select a post", "update it", "from here"\n', None),
        ("app/migrations.py", GOOD + 'x = "SELECT 1"\n', None),
        ("resolvers/a.py", '"""SELECT is what it is about."""\n', None),
    ],
)
def test_a_file_that_breaks_a_rule_is_found(path: str, text: str, said: str | None) -> None:
    found = found_in(path, text)
    assert len(found) == (said is not None), found
    assert said is None or said in found[0]


def test_files_on_the_list_end_at_the_hard_limit() -> None:
    text, listed = "x = 1\n" * 449, {"a.py": "a table"}
    assert not list(file_lint.lint_length("a.py", text, listed))
    assert len(list(file_lint.lint_length("a.py", text + "x = 1\n", listed))) == 1


def test_holes_that_differ_are_seen() -> None:
    assert holes("at most {limit} in {seconds}") == ["limit", "seconds"]
    assert holes("بلا") == []


def test_targets_without_a_sentence_are_seen() -> None:
    assert targets("run: x ## Serve.\ntest: y\nsql-schema: ## Dump.\n") == ["run", "sql-schema"]


def test_markers_must_stand_once() -> None:
    assert between("a <b> c </b>", "<b>", "</b>") == "c"
    with pytest.raises(AssertionError, match="put <b> … </b> around it"):
        between("a c", "<b>", "</b>")


def test_a_lint_reads_what_python_reads() -> None:
    assert all(isinstance(ast.parse(files()[path]), ast.Module) for path in python_files())
