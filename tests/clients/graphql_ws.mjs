// npm graphql-ws: the client of graphql-transport-ws that most web apps use, alone or under Apollo and urql.
import { createClient } from "graphql-ws";
import { CREATE_POST, HOME_EVENTS, isCaughtUp, PUBLIC_PAGE, textOf, VIEWER } from "./documents.mjs";
import { ask, bearer, given, Heard, play, post, socketUrl } from "./given.mjs";
import { network } from "./proxy.mjs";

const { alice } = given;
// Retries at once: the tests wait for nothing.
const RETRY = { retryAttempts: 20, retryWait: async () => {} };

function client(more = {}) {
  return createClient({ url: socketUrl, connectionParams: bearer(alice), retryAttempts: 0, ...more });
}

// The events of a home timeline; `after` follows what came, so that the client's own retry resumes there.
function homeEvents(socket) {
  const heard = new Heard();
  const variables = { after: null };
  const stop = socket.subscribe(
    { query: HOME_EVENTS, variables },
    {
      next: ({ data, errors }) => {
        if (errors) return heard.fail(errors);
        variables.after = data.homeTimelineEvents.liveCursor;
        heard.push(data.homeTimelineEvents);
      },
      error: (reason) => heard.fail(reason),
      complete: () => {},
    },
  );
  return { heard, stop };
}

async function one(socket, payload) {
  for await (const result of socket.iterate(payload)) return result;
}

// The event with which a socket closes, told of by whichever way the client chooses.
function closing(options) {
  const codes = [];
  const socket = client({ ...options, on: { closed: (event) => codes.push(event.code) } });
  return { socket, codes };
}

await play({
  async query() {
    return one(client(), { query: PUBLIC_PAGE, variables: { first: 5 } });
  },

  async mutation() {
    return one(client(), { query: CREATE_POST, variables: { input: { text: "by socket" } } });
  },

  async event() {
    const { heard } = homeEvents(client());
    await heard.until(isCaughtUp);
    await post(alice, "live");
    return heard.until((event) => textOf(event) === "live");
  },

  async several_at_once() {
    const socket = client();
    const { heard } = homeEvents(socket);
    await heard.until(isCaughtUp);
    const bad = await one(socket, { query: "{ nothing }" }).catch((errors) => errors);
    const good = await one(socket, { query: VIEWER });
    await post(alice, "after the bad one");
    await heard.until((event) => textOf(event) === "after the bad one");
    return { bad, good };
  },

  async resumes() {
    const cable = await network(given.url);
    const connected = new Heard();
    const socket = client({
      url: `${cable.url.replace("http", "ws")}/graphql`,
      on: { connected: () => connected.push("connected"), closed: () => connected.push("closed") },
      ...RETRY,
      retryAttempts: Infinity,
      // The client's own waiting would do; a shorter one makes the test quick.
      retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
      shouldRetry: () => true,
    });
    const { heard } = homeEvents(socket);
    await heard.until(isCaughtUp);
    await post(alice, "before");
    await heard.until((event) => textOf(event) === "before");
    cable.cut();
    await connected.until((what) => what === "closed");
    await post(alice, "meanwhile 1");
    await post(alice, "meanwhile 2");
    cable.mend();
    await heard.until((event) => textOf(event) === "meanwhile 2");
    await post(alice, "after");
    await heard.until((event) => textOf(event) === "after");
    return heard.all.map(textOf).filter(Boolean);
  },

  async wrong_token() {
    const { socket, codes } = closing({ connectionParams: { authorization: "Bearer nonsense" } });
    const thrown = await one(socket, { query: VIEWER }).catch((event) => event);
    return { code: thrown.code, reason: thrown.reason, codes };
  },

  // The usual way to get a new token: the parameters are asked for again at each connect.
  async new_token_after_4403() {
    const tokens = ["nonsense", alice.token];
    const { socket, codes } = closing({
      ...RETRY,
      shouldRetry: () => true,
      connectionParams: () => ({ authorization: `Bearer ${tokens.shift()}` }),
    });
    return { result: await one(socket, { query: VIEWER }), codes };
  },

  async signed_out() {
    const { socket, codes } = closing();
    const { heard } = homeEvents(socket);
    await heard.until(isCaughtUp);
    await ask(alice, "mutation { signOut { userErrors { code } } }");
    const reason = await heard.until(() => false, "the end of the session").catch((event) => event);
    return { code: reason.code, codes };
  },

  // Anybody may listen to the public timeline: no token, no parameters at all.
  async anonymous() {
    return one(client({ connectionParams: undefined }), { query: VIEWER });
  },
});
