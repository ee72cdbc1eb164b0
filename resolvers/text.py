"""What people type, checked and brought into its one stored form. Pure functions: text in, text out.

Each raises TextError and nothing else, for any str whatever (lone surrogates included), in linear time.
Lengths are counted in extended grapheme clusters (UAX #29) after normalisation, as a reader counts them.
"""

import unicodedata
from enum import StrEnum
from itertools import chain, groupby, islice
from typing import Literal

import idna
import regex


class TextProblem(StrEnum):
    """What is wrong with a text."""

    BLANK = "BLANK"
    TOO_LONG = "TOO_LONG"
    TOO_SHORT = "TOO_SHORT"
    CONTROL = "CONTROL"
    BIDI = "BIDI"
    SURROGATE = "SURROGATE"
    CHARACTERS = "CHARACTERS"
    FORMAT = "FORMAT"


class TextError(ValueError):
    """A text outside the rules. `limit` is the length that was passed or missed, where one was."""

    def __init__(self, problem: TextProblem, limit: int | None = None) -> None:
        super().__init__(problem if limit is None else f"{problem} (limit {limit})")
        self.problem = problem
        self.limit = limit


# One grapheme can be any number of code points; ten for each leave room for family emoji and vowel signs.
POST_GRAPHEMES, POST_CODE_POINTS = 500, 5_000
NAME_GRAPHEMES, NAME_CODE_POINTS = 50, 500
BIO_GRAPHEMES, BIO_CODE_POINTS = 300, 3_000
HANDLE_SHORTEST, HANDLE_LONGEST = 3, 30
PASSWORD_SHORTEST, PASSWORD_LONGEST = 10, 128
KEY_LONGEST = 128
# Octets: RFC 5321, 4.5.3.1.1, and 4.5.3.1.3 without the angle brackets (RFC 3696, erratum 1690).
EMAIL_LOCAL_LONGEST, EMAIL_LONGEST = 64, 254

# The longest canonical decomposition of a character (U+1F82 and its like): NFC shrinks no text further.
_LONGEST_DECOMPOSITION = 4

# UAX #29, tables 1b and 1c. Not \X: it joins a consonant to a virama that follows no consonant, and a flag
# costs it more the more flags come before. Possessive throughout, so linear.
_GRAPHEME = regex.compile(
    r"""
    \r\n | [\p{GCB=CR}\p{GCB=LF}\p{GCB=Control}]
    | \p{GCB=Prepend}*+
      (?: \p{RI}{2}
        | \p{ExtPict} (?:\p{GCB=Extend}*+ \p{GCB=ZWJ} \p{ExtPict})*+
        | \p{InCB=Consonant}
          (?:\p{InCB=Extend}*+ \p{InCB=Linker} [\p{InCB=Extend}\p{InCB=Linker}]*+ \p{InCB=Consonant})*+
        | \p{GCB=L}*+ (?:\p{GCB=V}++ | \p{GCB=LV} \p{GCB=V}*+ | \p{GCB=LVT}) \p{GCB=T}*+
        | \p{GCB=L}++ | \p{GCB=T}++ | [^\p{GCB=CR}\p{GCB=LF}\p{GCB=Control}] )
      [\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*+
    | \p{GCB=Prepend}++
    """,
    regex.V1 | regex.VERBOSE,
)
_SURROGATE = regex.compile(r"\p{Cs}")
_CONTROL = regex.compile(r"\p{Cc}")
_CONTROL_BUT_LF = regex.compile(r"[\p{Cc}--\n]", regex.V1)
# Cc holds LF; the other two break lines as well, and a name stands within one.
_CONTROL_OR_LINE_BREAK = regex.compile(r"[\p{Cc}\u2028\u2029]")
# Not seen: white space; what Unicode says to ignore (ZWSP, ZWJ, variation selectors, Hangul fillers); what
# has no ink without saying so: blank Braille, annotation signs, the null notehead, the blank hieroglyphs.
_SEEN = regex.compile(r"[^\p{White_Space}\p{DI}\u2800\uFFF9-\uFFFB\U0001D159\U00013441\U00013442]")
_MARKS = regex.compile(r"\P{ccc=0}{3,}")
# The only characters that are no combining mark but decompose into two (all excluded from composition).
_TIBETAN_VOWELS = {0x0F73: "\u0f71\u0f72", 0x0F75: "\u0f71\u0f74", 0x0F81: "\u0f71\u0f80"}
# Every white space that is no other control character: around a name or an address it is a slip of the hand.
_OUTER_SPACE = (
    "\t\n\r \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)


def normalize_post(text: str) -> str:
    """The text of a post as stored and returned: NFC, LF for CRLF, otherwise as given.

    1-500 graphemes and at most 5,000 code points. Of control characters only LF: no TAB, no lone CR.
    """
    text = _normalized(text, POST_GRAPHEMES, POST_CODE_POINTS, _CONTROL_BUT_LF)
    if not _SEEN.search(text):
        raise TextError(TextProblem.BLANK)
    return text


def normalize_display_name(text: str) -> str:
    """A name, in NFC, without white space around it: 1-50 graphemes on one line."""
    text = text.strip(_OUTER_SPACE)
    text = _normalized(text, NAME_GRAPHEMES, NAME_CODE_POINTS, _CONTROL_OR_LINE_BREAK)
    if not _SEEN.search(text):
        raise TextError(TextProblem.BLANK)
    return text


def normalize_bio(text: str) -> str | None:
    """What somebody says about themselves: written as posts are, up to 300 graphemes. None when blank."""
    text = _normalized(text, BIO_GRAPHEMES, BIO_CODE_POINTS, _CONTROL_BUT_LF)
    return text if _SEEN.search(text) else None


def _normalized(text: str, graphemes: int, code_points: int, banned: regex.Pattern[str]) -> str:
    """NFC with LF for CRLF, or the TextError that says why not. Every step before a cap is linear."""
    text = text.replace("\r\n", "\n")
    if len(text) > code_points * _LONGEST_DECOMPOSITION:
        raise _too_long(text, graphemes, code_points)
    if _SURROGATE.search(text):
        raise TextError(TextProblem.SURROGATE)
    if banned.search(text):
        raise TextError(TextProblem.CONTROL)
    text = _nfc(text)
    if len(text) > code_points or _has_more_graphemes(text, graphemes):
        raise _too_long(text, graphemes, code_points)
    if not _bidi_controls_are_paired(text):
        raise TextError(TextProblem.BIDI)
    return text


def _nfc(text: str) -> str:
    """NFC (UAX #15), in n log n."""
    return text if text.isascii() else unicodedata.normalize("NFC", _with_marks_in_order(text))


def _with_marks_in_order(text: str) -> str:
    """Canonical ordering is a part of NFC; but CPython sorts by insertion, so a bomb of marks costs n²."""
    return _MARKS.sub(_in_order, text.translate(_TIBETAN_VOWELS))


def _in_order(marks: regex.Match[str]) -> str:
    """Sorts between what is a starter to unicodedata, whose Unicode may be older than the pattern's."""
    runs = groupby(marks[0], key=lambda mark: unicodedata.combining(mark) > 0)
    return "".join(chain.from_iterable(sorted(run, key=unicodedata.combining) for _, run in runs))


def _has_more_graphemes(text: str, limit: int) -> bool:
    """Whether there are more than `limit` clusters; looks no further than one more."""
    return len(text) > limit and next(islice(_GRAPHEME.finditer(text), limit, None), None) is not None


def _too_long(text: str, graphemes: int, code_points: int) -> TextError:
    """Names the limit that helps the writer: graphemes, unless a few of them took all the code points."""
    few = not _has_more_graphemes(text[:code_points], graphemes)
    return TextError(TextProblem.TOO_LONG, code_points if few else graphemes)


# UAX #9, 2.1-2.5: PDF closes an embedding or override, PDI an isolate, within the paragraph.
_BIDI_CONTROL = regex.compile(r"[\u202A-\u202E\u2066-\u2069\n\u2029]")
_EMBEDDINGS = "\u202a\u202b\u202d\u202e"
_ISOLATES = "\u2066\u2067\u2068"
_PDF, _PDI = "\u202c", "\u2069"


def _bidi_controls_are_paired(text: str) -> bool:
    """Whether every bidi control has its partner in the same paragraph, properly nested.

    An open one reorders what an app shows after the text; an extra PDI closes what the app opened around it.
    """
    open_: list[str] = []
    for found in _BIDI_CONTROL.finditer(text):
        sign = found[0]
        if sign in _EMBEDDINGS:
            open_.append(_PDF)
        elif sign in _ISOLATES:
            open_.append(_PDI)
        elif sign in (_PDF, _PDI):
            if not open_ or open_.pop() != sign:
                return False
        elif open_:
            return False
    return not open_


_HANDLE_LETTERS = regex.compile(r"[A-Za-z0-9_]+")


def normalize_handle(text: str) -> str:
    """A handle: 3-30 of a-z, 0-9 and _. Upper case ASCII is folded and nothing else, not even U+212A (K)."""
    if len(text) > HANDLE_LONGEST:
        raise TextError(TextProblem.TOO_LONG, HANDLE_LONGEST)
    if len(text) < HANDLE_SHORTEST:
        raise TextError(TextProblem.TOO_SHORT, HANDLE_SHORTEST)
    if not _HANDLE_LETTERS.fullmatch(text):
        raise TextError(TextProblem.CHARACTERS)
    return text.lower()


def fold_handle(text: str) -> str | None:
    """The handle to look up, None when no account can have it."""
    try:
        return normalize_handle(text)
    except TextError:
        return None


# RFC 5322 dot-atom with the letters of other scripts (RFC 6532). Quoted local parts are left out: hardly any
# form takes them, and they make one mailbox many strings.
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~\-[\p{L}\p{M}\p{N}--[\p{DI}\p{ASCII}]]]+"
_LOCAL_PART = regex.compile(rf"{_ATOM}(?:\.{_ATOM})*", regex.V1)
_DOMAIN = regex.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?=[a-z])[a-z0-9-]*[a-z0-9]")


def normalize_email(text: str) -> str:
    """An e-mail address in its unique form: local part in NFC and lower case, domain as lower case A-labels.

    The domain goes through IDNA 2008 with UTS #46 mapping (package idna; the standard library's codec is
    IDNA 2003, which makes another domain of straße.example). The local part is lowered, not case-folded:
    folding would make ss of ß, and the mailbox somebody else's.
    """
    text = text.strip(_OUTER_SPACE)
    if len(text) > EMAIL_LONGEST * _LONGEST_DECOMPOSITION:
        raise TextError(TextProblem.TOO_LONG, EMAIL_LONGEST)
    local, at, domain = text.partition("@")
    local = _nfc(_nfc(local).lower())
    if not at or not _LOCAL_PART.fullmatch(local):
        raise TextError(TextProblem.FORMAT)
    try:
        domain = idna.encode(domain, uts46=True).decode("ascii").lower()
    except (UnicodeError, ValueError, IndexError):
        raise TextError(TextProblem.FORMAT) from None
    if not _DOMAIN.fullmatch(domain):
        raise TextError(TextProblem.FORMAT)
    octets = len(local.encode())
    if octets > EMAIL_LOCAL_LONGEST:
        raise TextError(TextProblem.TOO_LONG, EMAIL_LOCAL_LONGEST)
    if octets + 1 + len(domain) > EMAIL_LONGEST:
        raise TextError(TextProblem.TOO_LONG, EMAIL_LONGEST)
    return f"{local}@{domain}"


_SPACE = regex.compile(r"\p{Zs}")


def normalize_password(text: str) -> str:
    """A password as it is hashed: 10-128 code points (NIST SP 800-63B counts those) after password_form."""
    if len(text) > PASSWORD_LONGEST * _LONGEST_DECOMPOSITION:
        raise TextError(TextProblem.TOO_LONG, PASSWORD_LONGEST)
    if _SURROGATE.search(text):
        raise TextError(TextProblem.SURROGATE)
    if _CONTROL.search(text):
        raise TextError(TextProblem.CONTROL)
    text = password_form(text)
    if len(text) > PASSWORD_LONGEST:
        raise TextError(TextProblem.TOO_LONG, PASSWORD_LONGEST)
    if len(text) < PASSWORD_SHORTEST:
        raise TextError(TextProblem.TOO_SHORT, PASSWORD_SHORTEST)
    return text


def password_form(text: str) -> str:
    """The one form of what keyboards make of a password: RFC 8265, 4.2.2 (any space is U+0020; NFC).

    Not NFKC: it would merge ² with 2, and lengthen a single U+FDFA to a password's 18 characters.
    """
    return _nfc(_SPACE.sub(" ", text))


def check_idempotency_key(key: str) -> str:
    """The key as given: 1-128 code points, no control characters. Compared as it is, so never normalised."""
    if not key:
        raise TextError(TextProblem.BLANK)
    if len(key) > KEY_LONGEST:
        raise TextError(TextProblem.TOO_LONG, KEY_LONGEST)
    if _SURROGATE.search(key):
        raise TextError(TextProblem.SURROGATE)
    if _CONTROL.search(key):
        raise TextError(TextProblem.CONTROL)
    return key


# In this order: addresses and mentions say nothing about the language around them (a hashtag's sign is
# neutral anyway), nor do emoji, though flags and some squared signs are of class L. Bidi controls end an
# address, or it would swallow the end of its isolate. Unassigned characters are ignored.
_DIRECTION = regex.compile(
    r"""
    (?i:(?:https?|ftp)://|www\.)[^\s<>"«»،؛؟\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]+
    | @[A-Za-z0-9_]+(?:@[A-Za-z0-9.-]+)?
    | [\p{Regional_Indicator}\p{Emoji_Presentation}\p{Extended_Pictographic}]
    | (?P<open>[\u2066-\u2068]) | (?P<close>\u2069) | (?P<paragraph>\p{bc=B})
    | (?P<left>[\p{bc=L}--\p{Cn}]) | (?P<right>[\p{bc=R}\p{bc=AL}--\p{Cn}])
    """,
    regex.V1 | regex.VERBOSE,
)


def text_direction(text: str) -> Literal["LTR", "RTL", "NEUTRAL"]:
    """Which way to lay a text out: its first strong character (UAX #9, P2 and P3), isolates skipped.

    Paragraphs without a strong character are passed over, as `dir="auto"` does.
    """
    depth = 0
    for found in _DIRECTION.finditer(text):
        match found.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth = max(0, depth - 1)
            case "paragraph":
                depth = 0
            case "left" if depth == 0:
                return "LTR"
            case "right" if depth == 0:
                return "RTL"
            case _:
                pass
    return "NEUTRAL"
