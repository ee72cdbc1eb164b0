// npm graphql-http: the audit of a server against the GraphQL over HTTP specification.
import { auditServer } from "graphql-http";
import { graphqlUrl, play } from "./given.mjs";

await play({
  async audit() {
    const results = await auditServer({ url: graphqlUrl });
    return results.map(({ id, name, status, reason }) => ({ id, name, status, reason: reason ?? null }));
  },
});
