"""Documents made to hurt: each is refused, or as dear as one may be. The tests send them as well."""

SHAPES = {
    "300 times the same path": "{ " + "viewer { posts { edges { node { id } } } } " * 300 + "}",
    "5,000 aliases": "{ " + " ".join(f"a{n}: viewer {{ id }}" for n in range(5_000)) + " }",
    "a list of 20,000": "{ nodes(ids: [" + '"x", ' * 20_000 + "]) { id } }",
    "a list of 4,000": "{ nodes(ids: [" + '"x", ' * 4_000 + "]) { id } }",
    "a list of 100 bad ones": "{ nodes(ids: [" + "{a: 1} " * 100 + "]) { id } }",
    "1.7 KB of one field": "{ " + "viewer { id handle } " * 80 + "}",
    "140 of one field": "{ viewer { " + "handle " * 140 + "} }",
    "240 aliases": "{ viewer { " + " ".join(f"a{n}: handle" for n in range(240)) + " } }",
    "2,900 unknown fields": "{ " + " ".join(f"nothing{n}" for n in range(2_900)) + " }",
    "doubling fragments": "{ viewer { ...F0 } } "
    + " ".join(f"fragment F{n} on User {{ ...F{n + 1} ...F{n + 1} }}" for n in range(200))
    + " fragment F200 on User { id }",
    "130 fragments at once": "{ viewer { "
    + " ".join(f"...F{n}" for n in range(130))
    + " } } "
    + " ".join(f"fragment F{n} on User {{ id }}" for n in range(130)),
    "800 operations": " ".join(f"query Q{n} {{ viewer {{ id }} }}" for n in range(800)),
    "300 variables": "query (" + " ".join(f"$a{n}: Int" for n in range(300)) + ") { viewer { id } }",
    "a block of 49 KB": '{ user(handle: """' + "\\" * 49_000 + '""") { id } }',
    "quotes without end": '{ user(handle: """' + '\\"""' * 12_000,
    "commas": "{" + "," * 49_000 + " viewer { id } }",
    "dots": "{" + "..." * 4_900 + "}",
    "braces": "{" * 49_000,
    "introspection, wide": "{ __schema { types { "
    + " ".join(
        f"a{n}: fields {{ name description args {{ name description }} type {{ name ofType {{ name }} }} }}"
        for n in range(40)
    )
    + " } } }",
    "introspection, deep": "{ __schema { types { fields { type { fields { type { fields { type { fields { name "
    + "} " * 10,
    "100 pages": "{ viewer { "
    + " ".join(
        f"p{n}: posts(first: 1) {{ edges {{ cursor node {{ id text likeCount author {{ id handle }} }} }} }}"
        for n in range(100)
    )
    + " } }",
    "deep pages": "{ viewer { " + "followers(first: 1) { edges { node { " * 7 + "id" + " } } }" * 7 + " } }",
}


def hostile_documents(count: int) -> list[str]:
    """So many documents, no two alike: nothing that is kept of one helps with another."""
    shapes = list(SHAPES.values())
    return [f"{shapes[number % len(shapes)]} # {number}" for number in range(count)]
