"""The cache of documents under a stream of new ones."""

from app.documents.cache import DocumentCache


def cache() -> DocumentCache[int]:
    return DocumentCache(documents=10, size=100, longest=40)


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_a_stream_of_small_documents_stays_within_the_number() -> None:
    kept = cache()
    for number in range(1_000):
        kept.keep(digest(number), number, 4)
    assert (len(kept), kept.size) == (10, 40)
    assert [kept.get(digest(number)) for number in (989, 990, 999)] == [None, 990, 999]


def test_a_stream_of_large_documents_stays_within_the_bytes() -> None:
    kept = cache()
    for number in range(1_000):
        kept.keep(digest(number), number, 30)
    assert (len(kept), kept.size) == (3, 90)


def test_too_large_a_document_is_not_kept_and_pushes_nothing_out() -> None:
    kept = cache()
    kept.keep(digest(1), 1, 5)
    kept.keep(digest(2), 2, 41)
    assert (kept.get(digest(1)), kept.get(digest(2))) == (1, None)


def test_what_is_used_stays_and_keeping_it_again_counts_once() -> None:
    kept = cache()
    for number in range(20):
        kept.keep(b"used", -1, 4)
        assert kept.get(b"used") == -1
        kept.keep(digest(number), number, 10)
    assert kept.get(b"used") == -1
    assert kept.size <= 100
    kept.forget(b"used")
    assert kept.get(b"used") is None
    assert kept.size == 10 * len(kept)
