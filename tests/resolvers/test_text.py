"""What people type: tables of what is let in, and properties that hold for any text whatever."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers import text as texts
from resolvers.text import (
    TextError,
    TextProblem,
    check_idempotency_key,
    fold_handle,
    normalize_bio,
    normalize_display_name,
    normalize_email,
    normalize_handle,
    normalize_password,
    normalize_post,
    text_direction,
)

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
LRI, RLI, FSI, PDI = "\u2066", "\u2067", "\u2068", "\u2069"
LRE, RLE, PDF, LRO, RLO = "\u202a", "\u202b", "\u202c", "\u202d", "\u202e"

# Text as attackers write it: every kind of character that some rule is about, more often than chance has it.
CURIOUS = (
    "aZß \u0661٢क\u094dषمـשé\u0301\u0327\u0344\u0f73\u1100\u1161\u11a8각\u200d\u200b\u2800\u3164🇩👨\ufe0f🏽"
    "\r\n\t\0\x85\u2028\u2029\u00a0\ud800\udfff\ufffe\ufdd0@.#_-İ\u0131\u017f\u212a\ufdfa"
    f"{LRI}{RLI}{PDI}{LRE}{PDF}{RLO}"
)
any_text = st.one_of(
    st.text(st.sampled_from(CURIOUS), max_size=60),
    st.text(st.characters(codec=None, categories=None), max_size=60),
    st.text(st.sampled_from("aB@._-9ßمİ。\u00ad"), max_size=40),
)
NORMALIZERS: list[Callable[[str], str | None]] = [
    normalize_post,
    normalize_display_name,
    normalize_bio,
    normalize_handle,
    normalize_email,
    normalize_password,
    check_idempotency_key,
]


def problem(check: Callable[[str], object], text: str) -> tuple[TextProblem, int | None]:
    with pytest.raises(TextError) as caught:
        check(text)
    return caught.value.problem, caught.value.limit


@pytest.mark.parametrize("normalize", NORMALIZERS)
@given(text=any_text)
def test_any_text_is_normalized_once_and_for_all_or_refused(
    normalize: Callable[[str], str | None], text: str
) -> None:
    try:
        once = normalize(text)
    except TextError:
        return
    if once is None:
        return
    assert normalize(once) == once
    assert once.encode()
    if normalize is not check_idempotency_key:
        assert unicodedata.is_normalized("NFC", once)


@given(any_text)
def test_canonically_equal_texts_become_the_same_post(text: str) -> None:
    outcomes = set()
    for form in ("NFC", "NFD"):
        try:
            outcomes.add(normalize_post(unicodedata.normalize(form, text)))
        except TextError as error:
            outcomes.add(repr(error))
    assert len(outcomes) == 1


@given(any_text)
def test_sorting_marks_beforehand_leaves_nfc_as_it_is(text: str) -> None:
    assert texts._nfc(text) == unicodedata.normalize("NFC", text)


@given(any_text)
def test_graphemes_cover_the_text(text: str) -> None:
    assert "".join(texts._GRAPHEME.findall(text)) == text


# From UAX #29's own test file and from its prose.
GRAPHEMES = [
    ("", 0),
    ("abc", 3),
    ("a\nb", 3),
    ("e\u0301", 1),
    ("é", 1),
    (FAMILY, 1),
    ("👍🏽", 1),
    ("👩🏽\u200d🚀", 1),
    ("❤\ufe0f\u200d🔥", 1),
    ("1\ufe0f\u20e3", 1),
    ("🇩🇪🇫🇷", 2),
    ("🇩🇪🇫", 2),
    ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 1),
    ("a\u200d👩", 2),
    ("👩a\u200d👩", 3),
    ("مُحَمَّد", 4),
    ("ـهـ", 3),
    ("\u0600\u0661", 1),
    ("क्षि", 1),
    ("क\u094d\u200cष", 2),
    ("क\u094d\u200dष", 1),
    ("a\u094dष", 2),
    ("\u094dष", 2),
    ("किताब", 3),
    ("க்ஷ", 2),
    ("กำ", 1),
    ("한국어", 3),
    ("\u1112\u1161\u11ab", 1),
    ("\u11ab\u1112", 2),
    ("שָׁלוֹם", 4),
]


@pytest.mark.parametrize(("text", "count"), GRAPHEMES)
def test_graphemes_are_counted_as_readers_do(text: str, count: int) -> None:
    assert len(texts._GRAPHEME.findall(text)) == count
    if count:
        assert not texts._has_more_graphemes(text, count)
        assert texts._has_more_graphemes(text, count - 1)


@pytest.mark.parametrize("one", ["a", "é", "e\u0301", FAMILY, "🇵🇸", "م\u064e\u0651", "क्षि", "각"])
def test_a_post_holds_500_graphemes_of_any_script(one: str) -> None:
    assert normalize_post(one * 500) == unicodedata.normalize("NFC", one * 500)
    assert problem(normalize_post, one * 501) == (TextProblem.TOO_LONG, 500)


def test_a_post_holds_5000_code_points_counted_in_nfc() -> None:
    assert normalize_post("a" + "\u0316" * 4_999)
    assert problem(normalize_post, "a" + "\u0316" * 5_000) == (TextProblem.TOO_LONG, 5_000)
    # Four code points that NFC makes one.
    assert normalize_post("\u03b1\u0313\u0300\u0345" * 500) == "\u1f82" * 500
    assert normalize_post("\r\n" * 499 + "a") == "\n" * 499 + "a"


@pytest.mark.parametrize(
    "bomb",
    [
        "a" + "\u0301\u0327" * 9_000,
        "\u0f40" + "\u0f73\u0301" * 9_000,
        "a" * 1_000_000,
        "\u0301\u0327" * 500_000,
        "🇩" * 1_000_000,
        "क" + "\u094d" * 19_000,
        FAMILY * 100_000,
        "\r\n" * 500_000,
    ],
    ids=range(8),
)
def test_bombs_are_too_long(bomb: str) -> None:
    assert problem(normalize_post, bomb)[0] is TextProblem.TOO_LONG
    assert problem(normalize_display_name, f"a{bomb}a")[0] is TextProblem.TOO_LONG
    assert problem(normalize_bio, bomb)[0] is TextProblem.TOO_LONG
    assert problem(normalize_password, bomb)[0] is TextProblem.TOO_LONG
    assert problem(normalize_email, f"a@{bomb}.org")[0] is TextProblem.TOO_LONG


@pytest.mark.parametrize("pair", ["\u0301\u0327", "\u0f73\u0301", "\u0344\u0f81"])
def test_marks_reach_the_normalizer_in_order(pair: str) -> None:
    """Counted, not timed: NFC sorts by insertion, so its work is the number of pairs in the wrong order."""
    classes = [unicodedata.combining(mark) for mark in texts._with_marks_in_order("a" + pair * 2_000)]
    assert classes == sorted(classes)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("hello", "hello"),
        ("  kept as it is \n", "  kept as it is \n"),
        ("a\r\nb", "a\nb"),
        ("\r\n\r\na", "\n\na"),
        ("e\u0301", "é"),
        ("\u212b", "Å"),
        ("السَّلامُ عليكم", unicodedata.normalize("NFC", "السَّلامُ عليكم")),
        ("ﷺ", "ﷺ"),
        ("ﬁ²", "ﬁ²"),
        (FAMILY, FAMILY),
        (f"{RLI}مرحبا{PDI} {LRE}a{RLO}b{PDF}{PDF}", f"{RLI}مرحبا{PDI} {LRE}a{RLO}b{PDF}{PDF}"),
        ("\u200e\u200f\u061ca", "\u200e\u200f\u061ca"),
    ],
)
def test_posts_are_stored_as_nfc_with_lf(text: str, stored: str) -> None:
    assert normalize_post(text) == stored


BLANK = [
    "",
    " ",
    "\n",
    "\r\n",
    " \u00a0\u3000\u2028",
    "\u200b",
    "\u200d\u200c",
    "\u2800",
    "\u3164\u115f\uffa0",
]
BLANK += [
    "\ufeff\u2060",
    "\u00ad",
    "\ufe0f",
    "\U000e0061\U000e007f",
    "\u200e\u200f\u061c",
    f"{LRI}{PDI}",
    "\ufff9",
]


@pytest.mark.parametrize("text", BLANK)
def test_what_nobody_sees_is_blank(text: str) -> None:
    assert problem(normalize_post, text)[0] is TextProblem.BLANK
    assert problem(normalize_display_name, text)[0] is TextProblem.BLANK
    assert normalize_bio(text) is None


CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x0A]


@pytest.mark.parametrize("control", CONTROLS, ids=[f"U+{ord(control):04X}" for control in CONTROLS])
def test_control_characters_are_refused(control: str) -> None:
    for check in (normalize_post, normalize_bio, normalize_display_name, check_idempotency_key):
        assert problem(check, f"a{control}b")[0] is TextProblem.CONTROL
    assert problem(normalize_password, f"a long {control} password")[0] is TextProblem.CONTROL
    assert problem(normalize_email, f"a{control}b@example.org")[0] is TextProblem.FORMAT


SURROGATES = ["\ud800", "\udfff", "\ude00\ud83d"]


@pytest.mark.parametrize("surrogate", SURROGATES, ids=ascii)
def test_lone_surrogates_are_refused(surrogate: str) -> None:
    for check in (normalize_post, normalize_bio, normalize_display_name, check_idempotency_key):
        assert problem(check, f"a{surrogate}b")[0] is TextProblem.SURROGATE
    assert problem(normalize_password, f"a long {surrogate} password")[0] is TextProblem.SURROGATE
    assert problem(normalize_email, f"{surrogate}@example.org")[0] is TextProblem.FORMAT
    assert problem(normalize_email, f"a@{surrogate}.org")[0] is TextProblem.FORMAT


PAIRED = ["", f"{LRI}{PDI}", f"{LRE}{PDF}{RLE}{PDF}", f"{FSI}{LRO}{PDF}{PDI}", f"{LRI}a{PDI}\n{RLI}b{PDI}"]
PAIRED += [RLI * 200 + "a" + PDI * 200]
UNPAIRED = [LRI, RLI, FSI, PDI, LRE, RLE, LRO, RLO, PDF, f"{PDI}{LRI}", f"{LRI}{PDF}", f"{LRE}{PDI}"]
UNPAIRED += [f"{LRI}{LRE}{PDI}{PDF}", f"{LRE}{LRI}{PDF}{PDI}", f"{LRI}\n{PDI}", f"{LRI}\u2029{PDI}"]
UNPAIRED += [f"{LRI}{LRI}{PDI}", f"{LRI}{PDI}{PDI}", f"{RLO}\r\n{PDF}"]


@pytest.mark.parametrize("controls", PAIRED)
def test_paired_bidi_controls_are_kept(controls: str) -> None:
    assert normalize_post("a" + controls) == "a" + controls


@pytest.mark.parametrize("controls", UNPAIRED)
def test_unpaired_bidi_controls_are_refused(controls: str) -> None:
    assert problem(normalize_post, "a" + controls)[0] is TextProblem.BIDI
    assert problem(normalize_bio, "a" + controls)[0] is TextProblem.BIDI


def test_display_names_stand_on_one_line_without_space_around() -> None:
    assert normalize_display_name(" \u3000Zoë\u00a0 Ångström\r\n") == "Zoë\u00a0 Ångström"
    assert normalize_display_name("ليلى 🌙") == "ليلى 🌙"
    assert normalize_display_name(FAMILY * 50) == FAMILY * 50
    assert problem(normalize_display_name, FAMILY * 51) == (TextProblem.TOO_LONG, 50)
    assert problem(normalize_display_name, "a" + "\u0316" * 500) == (TextProblem.TOO_LONG, 500)
    assert problem(normalize_display_name, f"Eve{RLO}")[0] is TextProblem.BIDI
    for line_break in ("\n", "\r\n", "\u2028", "\u2029"):
        assert problem(normalize_display_name, f"a{line_break}b")[0] is TextProblem.CONTROL


def test_bios_hold_300_graphemes() -> None:
    assert normalize_bio("one\r\ntwo ") == "one\ntwo "
    assert normalize_bio("é" * 300) == "é" * 300
    assert problem(normalize_bio, "é" * 301) == (TextProblem.TOO_LONG, 300)


def test_handles() -> None:
    assert normalize_handle("Alice_42") == "alice_42"
    assert normalize_handle("a" * 30) == fold_handle("A" * 30) == "a" * 30
    assert problem(normalize_handle, "ab") == (TextProblem.TOO_SHORT, 3)
    assert problem(normalize_handle, "a" * 31) == (TextProblem.TOO_LONG, 30)


# KELVIN SIGN, long s, dotless and dotted i, full-width and Cyrillic letters, Arabic digits.
NO_HANDLES = ["\u212aate", "\u017fam", "al\u0131ce", "al\u0130ce", "\uff41lice", "\u0430lice", "ali\u0661"]
NO_HANDLES += ["@alice", "alice ", "alice\n", "al ice", "al-ice", "al.ice", "ali\0", "ali\ud800", "ليلى"]


@pytest.mark.parametrize("text", NO_HANDLES)
def test_no_other_letter_folds_into_a_handle(text: str) -> None:
    assert problem(normalize_handle, text) == (TextProblem.CHARACTERS, None)
    assert fold_handle(text) is None


@pytest.mark.parametrize(
    ("text", "unique"),
    [
        ("Alice.Smith+tag@Example.ORG", "alice.smith+tag@example.org"),
        (" alice@example.org\n", "alice@example.org"),
        ("o'hara!#$%&*/=?^_`{|}~-@example.org", "o'hara!#$%&*/=?^_`{|}~-@example.org"),
        ("e\u0301@example.org", "é@example.org"),
        ("ÉCOLE@example.org", "école@example.org"),
        ("straße@straße.example", "straße@xn--strae-oqa.example"),
        ("ليلى@موقع.وزارة", "ليلى@xn--4gbrim.xn--mgbexc3i"),
        ("a@XN--STRAE-OQA.example", "a@xn--strae-oqa.example"),
        ("a@例え。jp", "a@xn--r8jz45g.jp"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
        ("a@" + ".".join(["b" * 61] * 4) + ".org", "a@" + ".".join(["b" * 61] * 4) + ".org"),
    ],
)
def test_email_addresses_have_one_form(text: str, unique: str) -> None:
    assert normalize_email(text) == unique


NO_ADDRESSES = [
    "",
    "@",
    "alice",
    "alice@",
    "@example.org",
    "a@b@example.org",
    "a b@example.org",
    "a@exam ple.org",
]
NO_ADDRESSES += [
    ".a@example.org",
    "a.@example.org",
    "a..b@example.org",
    '"a b"@example.org',
    "a(c)@example.org",
]
NO_ADDRESSES += [
    "a@example",
    "a@example.org.",
    "a@.org",
    "a@-b.org",
    "a@b-.org",
    "a@b_c.org",
    "a@[192.0.2.1]",
]
NO_ADDRESSES += ["a@192.0.2.1", "a@xn--zz.org", "a@\u200d.org", "a\u200d@example.org", f"a{RLO}@example.org"]
NO_ADDRESSES += ["<a@b.org>", "a@" + "b" * 64 + ".org"]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_email_address(text: str) -> None:
    assert problem(normalize_email, text)[0] is TextProblem.FORMAT


def test_email_addresses_are_counted_in_octets() -> None:
    assert problem(normalize_email, "a" * 65 + "@example.org") == (TextProblem.TOO_LONG, 64)
    assert problem(normalize_email, "é" * 33 + "@example.org") == (TextProblem.TOO_LONG, 64)
    domain = ".".join(["b" * 61] * 4)
    assert problem(normalize_email, f"aaa@{domain}.org") == (TextProblem.TOO_LONG, 254)


def test_passwords() -> None:
    assert normalize_password("correct horse") == "correct horse"
    assert normalize_password("e\u0301" * 10) == "é" * 10
    assert normalize_password("a\u00a0b\u3000cdefghi") == "a b cdefghi"
    assert normalize_password("²" * 128) == "²" * 128
    assert normalize_password("🔑" * 10) == "🔑" * 10
    assert problem(normalize_password, "ninechars") == (TextProblem.TOO_SHORT, 10)
    assert problem(normalize_password, "\ufdfa") == (TextProblem.TOO_SHORT, 10)
    assert problem(normalize_password, "e\u0301" * 9) == (TextProblem.TOO_SHORT, 10)
    assert problem(normalize_password, "a" * 129) == (TextProblem.TOO_LONG, 128)


def test_idempotency_keys() -> None:
    assert check_idempotency_key("e\u0301 " + "k" * 125) == "e\u0301 " + "k" * 125
    assert problem(check_idempotency_key, "")[0] is TextProblem.BLANK
    assert problem(check_idempotency_key, "k" * 129) == (TextProblem.TOO_LONG, 128)


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("", "NEUTRAL"),
        ("hello مرحبا", "LTR"),
        ("مرحبا hello", "RTL"),
        ("שלום", "RTL"),
        ("123, (٤٥٦) …!", "NEUTRAL"),
        ("🎉🎉", "NEUTRAL"),
        ("🇵🇸", "NEUTRAL"),
        ("🇵🇸 مرحبا", "RTL"),
        ("🅰 🆗 ㊗ \u2139\ufe0f مرحبا", "RTL"),
        (FAMILY + " hello", "LTR"),
        ("1\ufe0f\u20e3 مرحبا", "RTL"),
        ("@alice مرحبا", "RTL"),
        ("@alice@example.org مرحبا", "RTL"),
        ("@alice", "NEUTRAL"),
        ("https://example.org/a?b=c مرحبا", "RTL"),
        ("HTTP://EXAMPLE.ORG مرحبا", "RTL"),
        ("www.example.org، مرحبا", "RTL"),
        ("https://موقع.وزارة hello", "LTR"),
        ("https://example.org", "NEUTRAL"),
        ("#hello مرحبا", "LTR"),
        ("#مرحبا hello", "RTL"),
        ("#123 #٤", "NEUTRAL"),
        ("… \n123\nمرحبا", "RTL"),
        (f"{LRI}hello{PDI} مرحبا", "RTL"),
        (f"{LRI}hello {RLI}x{PDI} y{PDI} مرحبا", "RTL"),
        (f"{FSI}https://example.org{PDI} مرحبا {LRI}x{PDI}", "RTL"),
        (f"{LRI}hello\nمرحبا", "RTL"),
        (f"{PDI}hello", "LTR"),
        (f"{RLE}hello{PDF}", "LTR"),
        ("\u200f123", "RTL"),
        ("\u200ehello", "LTR"),
        ("\u061c123", "RTL"),
        ("\u0378\uffff مرحبا", "RTL"),
        ("हिन्दी", "LTR"),
        ("𐤀", "RTL"),
    ],
)
def test_the_first_strong_character_gives_the_direction(text: str, direction: str) -> None:
    assert text_direction(text) == direction


@given(any_text)
def test_any_text_has_a_direction(text: str) -> None:
    assert text_direction(text) in {"LTR", "RTL", "NEUTRAL"}
