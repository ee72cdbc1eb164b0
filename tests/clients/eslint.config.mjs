// What graphql-eslint asks of a schema that apps are written against, and where this one differs, and why.
import graphql from "@graphql-eslint/eslint-plugin";

const SCHEMA = `${import.meta.dirname}/../../schema/schema.graphql`;
const EVENTS = ["LiveCaughtUp", "LiveReset", "TimelineEntryAdded", "TimelineEntryRemoved", "TimelinePostUpdated"];

export default [
  {
    files: ["**/*.graphql"],
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: SCHEMA } } },
    plugins: { "@graphql-eslint": graphql },
    rules: {
      ...graphql.configs["flat/schema-recommended"].rules,
      ...graphql.configs["flat/schema-relay"].rules,
      // `last` is there in the timelines, where something newer than a cursor is asked for; no other list needs it.
      "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
      // userErrors and nodes(ids:) are lists that nobody pages through.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
      // Caches keep a record by its id. Parts of an answer and events are no records, and secrets must not be kept.
      "@graphql-eslint/strict-id-in-types": [
        "error",
        {
          exceptions: {
            suffixes: ["Payload", "Connection", "Edge"],
            types: [...EVENTS, "PageInfo", "RateLimit", "SessionTokens", "UserError"],
          },
        },
      ],
    },
  },
];
