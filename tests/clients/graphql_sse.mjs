// npm graphql-sse in the mode of distinct connections: each operation is a request that is answered by an event stream.
import { createClient } from "graphql-sse";
import { HOME_EVENTS, isCaughtUp, PUBLIC_PAGE, textOf } from "./documents.mjs";
import { bearer, given, graphqlUrl, Heard, play, post, toldOf } from "./given.mjs";

const { alice } = given;

function client(more = {}) {
  return createClient({ url: graphqlUrl, headers: bearer(alice), retryAttempts: 0, ...more });
}

function homeEvents(stream, variables = {}) {
  const heard = new Heard();
  const stop = stream.subscribe(
    { query: HOME_EVENTS, variables },
    {
      next: ({ data, errors }) => (errors ? heard.fail({ errors }) : heard.push(data.homeTimelineEvents)),
      error: (reason) => heard.fail(reason),
      complete: () => heard.push("complete"),
    },
  );
  return { heard, stop };
}

// All results of an operation, or the errors that it was answered with, in whichever way the client tells.
async function results(stream, payload) {
  const found = [];
  try {
    for await (const result of stream.iterate(payload)) found.push(result);
  } catch (error) {
    const body = await error.response?.json();
    return { found, error: toldOf(error), body: body ?? null };
  }
  return { found };
}

await play({
  query: () => results(client(), { query: PUBLIC_PAGE, variables: { first: 5 } }),

  invalid: () => results(client(), { query: "{ nothing }" }),

  refused: () => results(client({ headers: {} }), { query: HOME_EVENTS }),

  wrong_token: () => results(client({ headers: { authorization: "Bearer nonsense" } }), { query: HOME_EVENTS }),

  async event() {
    const { heard } = homeEvents(client());
    await heard.until(isCaughtUp);
    await post(alice, "live");
    return heard.until((event) => textOf(event) === "live");
  },

  async resumes() {
    const first = homeEvents(client());
    const { liveCursor } = await first.heard.until(isCaughtUp);
    first.stop();
    await post(alice, "meanwhile");
    const second = homeEvents(client(), { after: liveCursor });
    // Numbered after the cursor, it may come before LiveCaughtUp or, on a busy machine, behind it.
    await second.heard.until((event) => textOf(event) === "meanwhile");
    return second.heard.all.map(textOf).filter(Boolean);
  },

  // Stays until the test has seen the stream end at the server's side.
  async stopped() {
    const { heard, stop } = homeEvents(client());
    await heard.until(isCaughtUp);
    stop();
    await heard.until((event) => event === "complete");
    return heard.all.length;
  },
});
