"""Operations for a schema whose field names decide their types: any two selections of it may be merged."""

import random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_abstract_type,
    is_composite_type,
)

SWITCHES = ["b0: Boolean!", "b1: Boolean = true", "b2: Boolean! = false"]
WORDS = ['"w"', '""', '"é"']


class Writer:
    """Writes one document, and the values of its variables."""

    def __init__(self, schema: GraphQLSchema, chance: random.Random) -> None:
        self.schema, self.chance = schema, chance
        self.variables: dict[str, Any] = {"b0": chance.random() < 0.5}
        if chance.random() < 0.3:
            self.variables["b2"] = chance.random() < 0.5
        self.declared: list[str] = []
        self.budget = chance.choice([6, 15, 40])
        self.arguments: dict[str, list[str]] = {}
        self.fragments: list[tuple[str, str]] = []

    def document(self) -> tuple[str, str]:
        """The text, and the kind of the operation."""
        kinds = (
            ["query"] * 6 + ["mutation"] * 2 + ["subscription"] * (self.schema.subscription_type is not None)
        )
        kind = self.chance.choice(kinds)
        root = {
            "query": self.schema.query_type,
            "mutation": self.schema.mutation_type,
            "subscription": self.schema.subscription_type,
        }[kind]
        assert root is not None
        bodies = []
        for number in range(self.chance.choice([0, 0, 1, 2])):
            name = self.chance.choice(
                [type_.name for type_ in self.schema.type_map.values() if _usable(type_)]
            )
            bodies.append(f"fragment F{number} on {name} {self.selections(self.schema.type_map[name], 2)}")
            self.fragments.append((f"F{number}", name))
        if kind == "subscription":
            name = self.chance.choice(list(root.fields))
            body = "{ " + self.field(root, name, 0, plain=True) + " }"
        else:
            body = self.selections(root, 0)
        switches = [text for text in SWITCHES if f"${text[:2]}" in body + "".join(bodies)]
        declared = ", ".join(["$" + text for text in [*switches, *self.declared]])
        head = f"{kind} Main({declared})" if declared else f"{kind} Main"
        return "\n".join([f"{head} {body}", *bodies]), kind

    def selections(self, type_: GraphQLNamedType, depth: int) -> str:
        """A selection set."""
        parts = []
        for _ in range(self.chance.choice([1, 2, 3, 5] if depth else [2, 4, 6])):
            parts.append(self.selection(type_, depth))
        return "{ " + " ".join(parts) + " }"

    def selection(self, type_: GraphQLNamedType, depth: int) -> str:
        """A field or a fragment."""
        chance, draw = self.chance, self.chance.random()
        if draw < 0.12 or (isinstance(type_, GraphQLUnionType) and draw < 0.3):
            return chance.choice(["__typename", "kind: __typename"]) + self.directives()
        abstract = is_abstract_type(type_)
        if draw < (0.7 if isinstance(type_, GraphQLUnionType) else 0.45 if abstract else 0.2) and depth < 6:
            return self.inline(type_, depth)
        fitting = [name for name, on in self.fragments if self._overlap(type_, self.schema.type_map[on])]
        if fitting and draw < 0.9 and chance.random() < 0.4:
            return f"...{chance.choice(fitting)}{self.directives()}"
        if isinstance(type_, GraphQLUnionType):
            return "__typename"
        if chance.random() < 0.01:
            return "unknown"
        fields: dict[str, GraphQLField] = type_.fields  # type: ignore[attr-defined]  # an object or an interface
        return self.field(type_, chance.choice(list(fields)), depth)

    def inline(self, type_: GraphQLNamedType, depth: int) -> str:
        """An inline fragment."""
        others = [
            other for other in self.schema.type_map.values() if _usable(other) and self._overlap(type_, other)
        ]
        on = self.chance.choice([type_, *others])
        condition = "" if on is type_ and self.chance.random() < 0.5 else f" on {on.name}"
        return f"...{condition}{self.directives()} {self.selections(on, depth + 1)}"

    def field(self, type_: GraphQLNamedType, name: str, depth: int, plain: bool = False) -> str:
        """A field with its arguments, alias and selections."""
        definition: GraphQLField = type_.fields[name]  # type: ignore[attr-defined]  # an object or an interface
        named = get_named_type(definition.type)
        if is_composite_type(named):
            if self.budget <= 0 or depth > 5:
                return "__typename"
            self.budget -= 1
        alias, arguments = "", ""
        if definition.args:
            known = self.arguments.setdefault(name, [])
            if len(known) < 2 or self.chance.random() < 0.1:
                known.append(self.given(definition))
            number = self.chance.randrange(len(known))
            alias, arguments = f"{name}_{number}: ", known[number]
        elif self.chance.random() < 0.15:
            alias = f"{self.chance.choice('xy')}{name}: "
        below = f" {self.selections(named, depth + 1)}" if is_composite_type(named) else ""
        return f"{alias}{name}{arguments}{'' if plain else self.directives()}{below}"

    def directives(self) -> str:
        """Sometimes @skip, @include or both."""
        if self.chance.random() < 0.85:
            return ""
        values = ["$b0", "$b1", "$b2", "true", "false"]
        found = [
            f" @{name}(if: {self.chance.choice(values)})"
            for name in ("skip", "include")
            if self.chance.random() < 0.6
        ]
        return "".join(found)

    def given(self, definition: GraphQLField) -> str:
        """Arguments for a field."""
        parts = []
        for name, argument in definition.args.items():
            required = isinstance(argument.type, GraphQLNonNull) and not argument.default
            if required or self.chance.random() < 0.6:
                parts.append(f"{name}: {self.literal(argument.type)}")
        return f"({', '.join(parts)})" if parts else ""

    def literal(self, type_: Any, depth: int = 0) -> str:
        """A value in the language of the document: sometimes a variable, which may be absent or null."""
        chance = self.chance
        if chance.random() < 0.25 and len(self.declared) < 6:
            return self.variable(type_)
        if isinstance(type_, GraphQLNonNull):
            return self.literal_present(type_.of_type, depth)
        return "null" if chance.random() < 0.1 else self.literal_present(type_, depth)

    def literal_present(self, type_: Any, depth: int) -> str:
        """A value that is not null."""
        chance = self.chance
        if isinstance(type_, GraphQLNonNull):
            return self.literal_present(type_.of_type, depth)
        if isinstance(type_, GraphQLList):
            if chance.random() < 0.15 and "[" not in str(type_.of_type):
                return self.literal_present(type_.of_type, depth)  # coerced to a list of one
            items = [self.literal(type_.of_type, depth + 1) for _ in range(chance.choice([0, 1, 2]))]
            if str(get_named_type(type_)) == "Int" and not isinstance(type_.of_type, GraphQLList):
                items = ["77", *items] if chance.random() < 0.5 else items
            return f"[{', '.join(items)}]"
        if isinstance(type_, GraphQLEnumType):
            return str(chance.choice(list(type_.values)))
        if isinstance(type_, GraphQLInputObjectType):
            if type_.is_one_of:
                return chance.choice(['{text: "x"}', "{number: 4}"])
            parts = [
                f"{name}: {self.literal(field.type, depth + 1)}"
                for name, field in type_.fields.items()
                if chance.random() < 0.4 and (depth < 2 or name != "inner")
            ]
            return "{" + ", ".join(parts) + "}"
        choices = {"Int": ["1", "-3"], "Boolean": ["true", "false"], "Odd": ["1", '"x"', "[1, {a: 2}]"]}
        return chance.choice(choices.get(type_.name, WORDS))

    def variable(self, type_: Any) -> str:
        """A new variable of this type, with or without a value and a default."""
        chance, name = self.chance, f"v{len(self.declared)}"
        text = str(type_)
        nullable = not isinstance(type_, GraphQLNonNull)
        leaf = {"Int": ("3", 4), "Boolean": ("true", False), "String": ('"d"', "v")}.get(text.rstrip("!"))
        default = leaf is not None and chance.random() < 0.4
        self.declared.append(f"{name}: {text}{f' = {leaf[0]}' if leaf and default else ''}")
        value = leaf[1] if leaf else _value(get_named_type(type_), type_)
        if nullable and chance.random() < 0.2:
            self.variables[name] = None
        elif not (nullable or default) or chance.random() < 0.6:
            self.variables[name] = value
        return f"${name}"

    def _overlap(self, one: GraphQLNamedType, other: GraphQLNamedType) -> bool:
        return bool(self._possible(one) & self._possible(other))

    def _possible(self, type_: Any) -> set[str]:
        if isinstance(type_, GraphQLObjectType):
            return {type_.name}
        return {possible.name for possible in self.schema.get_possible_types(type_)}


def _value(named: Any, type_: Any) -> Any:
    """A value of a variable of this type, as JSON has it."""
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(inner, GraphQLList):
        return [_value(named, inner.of_type)]
    if isinstance(named, GraphQLEnumType):
        return next(iter(named.values))
    if isinstance(named, GraphQLInputObjectType):
        return {"text": "given"}
    return {"Int": 6, "Boolean": True, "Odd": {"deep": [1]}}.get(named.name, "given")


def _usable(type_: GraphQLNamedType) -> bool:
    roots = ("Query", "Mutation", "Subscription")
    return is_composite_type(type_) and not type_.name.startswith("__") and type_.name not in roots
