"""A look at a document before it is parsed: will parsing, validating and compiling it be cheap?

One pass over its tokens, and one over its selections as they come together when fragments are expanded; each stops
at its limit. Nothing else is judged: what is no GraphQL goes on to the parser, which says what is wrong with it.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from app.refusals import PARSE_FAILED, VALIDATION_FAILED

# A token (GraphQL October 2021, 2.1): a name, a punctuator, or a value; what is ignored comes before it. Every
# repetition is possessive, so nothing is read twice however the text ends.
_TOKEN = re.compile(
    r"(?:[\s,\ufeff]++|\#[^\n\r]*+)*+"
    r"(?:([_A-Za-z][_0-9A-Za-z]*+)|(\.\.\.|[!$&()\[\]{}:=@|])|-?[0-9][0-9.eE+-]*+"
    r'|"""(?:[^"\\]|\\"""|\\|"(?!""))*+"""|"(?:[^"\\\n\r]|\\.)*+")'
)


class ScanLimits(NamedTuple):
    """What one document may have.

    `selections`: fields, fragments expanded. `pairs`: of fields with the same place in the response, each with each:
    validation compares them (OverlappingFieldsCanBeMerged), and nothing else in it is worse than linear.
    """

    # Three times the longest text of the example operations' kind; longer ones are better imported.
    characters: int = 50_000
    tokens: int = 5_000
    # Levels of selections. The introspection query of GraphiQL has 13.
    depth: int = 25
    # Tokens of arguments, variables and their default values: each is looked at again when the operation runs.
    values: int = 1_500
    # Levels of brackets in values and types.
    nesting: int = 50
    aliases: int = 250
    directives: int = 250
    fragments: int = 250
    selections: int = 3_000
    pairs: int = 10_000


class TooMuch(Exception):
    """The document has more of something than is allowed; the message says of what, the code what was not done."""

    def __init__(self, sentence: str, code: str = VALIDATION_FAILED) -> None:
        super().__init__(sentence)
        self.code = code


# A field's response key, or None for an inline fragment, and what is selected below; or a fragment spread's name.
_Selections = list[Any]


class _Definition(NamedTuple):
    """An operation (its name is None) or a fragment."""

    fragment: str | None
    selections: _Selections


def check_length(text: str, limits: ScanLimits) -> None:
    """Look at nothing but the length. Raises TooMuch."""
    if len(text) > limits.characters:
        raise TooMuch(f"The document is longer than {limits.characters:,} characters.", PARSE_FAILED)


def scan(text: str, limits: ScanLimits) -> None:
    """Look at a document. Raises TooMuch."""
    check_length(text, limits)
    definitions = _Reader(limits).read(text)
    _expand(definitions, limits)


class _Reader:
    """Reads tokens into definitions. What is no GraphQL is read as whatever it resembles."""

    def __init__(self, limits: ScanLimits) -> None:
        self._limits = limits
        self._aliases = self._directives = self._fragments = 0

    def read(self, text: str) -> list[_Definition]:
        limits = self._limits
        definitions: list[_Definition] = []
        open_selections: list[_Selections] = []
        inside_values = 0
        values = 0  # brackets open in arguments, variables, lists
        fragment: str | None = None
        before = before_that = ""
        # What a brace that opens now belongs to: a field, an inline fragment or a definition.
        below: _Selections = []
        for number, (name, sign) in enumerate(_tokens(text)):
            if number >= limits.tokens:
                raise TooMuch(f"The document has more than {limits.tokens:,} tokens.", PARSE_FAILED)
            if values:
                inside_values += 1
                if inside_values > limits.values:
                    raise TooMuch(
                        f"The document has more than {limits.values:,} tokens of values: send them as variables."
                    )
                if sign in ("(", "[", "{"):
                    values += 1
                    if values > limits.nesting:
                        raise TooMuch(
                            f"Values are nested more than {limits.nesting} levels deep.", PARSE_FAILED
                        )
                elif sign in (")", "]", "}"):
                    values -= 1
                elif sign == "@":
                    self._directive()
            elif name:
                if open_selections:
                    here = open_selections[-1]
                    if before == "...":
                        if name != "on":
                            here[-1] = name
                    elif before == ":":
                        self._alias()
                    elif before != "@" and not (before == "on" and before_that == "..."):
                        below = []
                        here.append((name, below))
                elif before == "fragment":
                    fragment = name
            elif sign == "{":
                if not open_selections:
                    below = []
                    definitions.append(_Definition(fragment, below))
                    if fragment is not None:
                        self._fragment()
                    fragment = None
                open_selections.append(below)
                if len(open_selections) > limits.depth * 2:
                    raise TooMuch(_too_deep(limits))
            elif sign == "}":
                if open_selections:
                    open_selections.pop()
            elif sign == "..." and open_selections:
                below = []
                open_selections[-1].append((None, below))
            elif sign in ("(", "["):
                values = 1
            elif sign == "@":
                self._directive()
            before_that, before = before, name or sign
        return definitions

    def _alias(self) -> None:
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            raise TooMuch(f"The document has more than {self._limits.aliases} aliases.")

    def _directive(self) -> None:
        self._directives += 1
        if self._directives > self._limits.directives:
            raise TooMuch(f"The document has more than {self._limits.directives} directives.")

    def _fragment(self) -> None:
        self._fragments += 1
        if self._fragments > self._limits.fragments:
            raise TooMuch(f"The document has more than {self._limits.fragments} fragments.")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """A name or a sign for each token, two empty texts for a value; ends where no token is."""
    at = 0
    match = _TOKEN.match
    while (found := match(text, at)) is not None:
        yield found[1] or "", found[2] or ""
        at = found.end()


def _expand(definitions: list[_Definition], limits: ScanLimits) -> None:
    """Merge the selections of each operation as execution will, and count."""
    fragments = {each.fragment: each.selections for each in definitions if each.fragment is not None}
    spread: set[str] = set()
    seen = pairs = 0
    # The operations first: a fragment that one of them spreads is looked at there.
    for definition in sorted(definitions, key=lambda each: each.fragment is not None):
        if definition.fragment in spread:
            continue
        levels = [(1, [definition.selections])]
        while levels:
            depth, together = levels.pop()
            if depth > limits.depth:
                raise TooMuch(_too_deep(limits))
            merged: dict[str, list[_Selections]] = {}
            inside: set[str] = set()
            while together:
                for item in together.pop():
                    seen += 1
                    if type(item) is str:
                        if item not in inside:
                            inside.add(item)
                            together.append(fragments.get(item, []))
                        continue
                    key, below = item
                    if key is None:
                        together.append(below)
                        continue
                    same = merged.setdefault(key, [])
                    pairs += len(same)
                    same.append(below)
                if seen > limits.selections:
                    raise TooMuch(
                        f"The document selects more than {limits.selections:,} fields, counted with its fragments."
                    )
                if pairs > limits.pairs:
                    raise TooMuch("The document selects the same fields over and over: write each once.")
            spread |= inside
            levels.extend((depth + 1, below) for below in merged.values() if any(below))


def _too_deep(limits: ScanLimits) -> str:
    return f"Selections are nested more than {limits.depth} levels deep, or a fragment spreads itself."
