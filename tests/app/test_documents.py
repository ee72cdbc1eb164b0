"""The cache of documents under a stream of new ones."""

from app.documents import DocumentCache


def cache() -> DocumentCache[int]:
    return DocumentCache(documents=10, characters=100, longest=40)


def test_a_stream_of_short_documents_stays_within_the_number() -> None:
    kept = cache()
    for number in range(1_000):
        kept.keep(f"{number:04}", number)
    assert (len(kept), kept.characters) == (10, 40)
    assert [kept.get(f"{number:04}") for number in (989, 990, 999)] == [None, 990, 999]


def test_a_stream_of_long_documents_stays_within_the_characters() -> None:
    kept = cache()
    for number in range(1_000):
        kept.keep(f"{number:030}", number)
    assert (len(kept), kept.characters) == (3, 90)


def test_too_long_a_document_is_not_kept_and_pushes_nothing_out() -> None:
    kept = cache()
    kept.keep("short", 1)
    kept.keep("x" * 41, 2)
    assert (kept.get("short"), kept.get("x" * 41)) == (1, None)


def test_what_is_used_stays_and_keeping_it_again_counts_once() -> None:
    kept = cache()
    for number in range(20):
        kept.keep("used", -1)
        assert kept.get("used") == -1
        kept.keep(f"{number:010}", number)
    assert kept.get("used") == -1
    assert kept.characters <= 100
