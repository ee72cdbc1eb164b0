// The JavaScript clients of docs/examples: each keeps a timeline until a post says that it is the end, and tells what
// it shows then, how often its token was refused, and whether it gave up.
import { pathToFileURL } from "node:url";
import { ask, given, graphqlUrl, Heard, patiently, play, post, socketUrl } from "./given.mjs";

const example = (name) => import(pathToFileURL(`${given.examples}/${name}`));
const { longestWait, SignedOut } = await example("live-timeline.mjs");
const { HomeTimeline } = await example("timeline.mjs");
const { ApolloTimeline } = await example("timeline-apollo.mjs");

const has = (text) => (edges) => edges.some(({ node }) => node.post.text === text);

// As an app does it: the session is refreshed when the server did not accept its token.
let { token: accessToken, refreshToken } = given.bob;
let refusals = 0;
let failing = 0;
async function token(refused) {
  if (failing-- > 0) throw new TypeError("fetch failed");
  if (!refused) return accessToken;
  refusals++;
  const document = `mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) {
    tokens { accessToken refreshToken } userErrors { code } } }`;
  const { tokens } = (await ask(null, document, { token: refreshToken })).refreshSession;
  if (!tokens) throw new SignedOut();
  return ({ accessToken, refreshToken } = tokens), accessToken;
}

const shows = new Heard();
const options = {
  url: socketUrl,
  token,
  first: given.first ?? 50,
  silence: given.silence ?? 100_000,
  ended: (reason) => shows.fail(reason),
};
const clients = {
  graphql_ws: (kind) => new (kind(HomeTimeline))({ ...options, show: (edges) => shows.push(edges) }),
  apollo(kind) {
    const timeline = new (kind(ApolloTimeline))({ ...options, http: graphqlUrl });
    timeline.client.watchQuery(timeline.query).subscribe(({ data, dataState }) => {
      if (dataState === "complete") shows.push(data.homeTimeline.edges);
    });
    return timeline;
  },
};
const client = (kind = (itself) => itself) => clients[given.client](kind);

async function atTheEnd() {
  // It may be killed and started again meanwhile: longer than a test waits otherwise.
  const edges = await shows.until(has("the end"), "the end", 90);
  const lines = edges.map(({ node }) => [node.id, node.post.text, node.post.likeCount, node.repostedBy?.handle ?? null]);
  return { lines, refusals };
}

await play({
  async keeps() {
    client().start();
    try {
      return await atTheEnd();
    } catch (reason) {
      return { ended: reason.constructor.name };
    }
  },

  async pages_down() {
    const timeline = client();
    timeline.start();
    await shows.until(() => true, "the first page");
    for (let page = 1; page < given.pages; page++) await timeline.more();
    await post(given.bob, "ready");
    return atTheEnd();
  },

  // The post of `gone` is deleted after its page was read, and the event overtakes the page.
  async late_page() {
    const events = new Heard();
    const late = (kind) =>
      class extends kind {
        async page(after) {
          const page = await super.page(after);
          if (after !== null) {
            await ask(given.alice, "mutation ($id: ID!) { deletePost(input: { postId: $id }) { deletedPostId } }", {
              id: given.gone,
            });
            await events.until((event) => event.unavailablePostId === given.gone);
          }
          return page;
        }

        listen(after, heard, signal) {
          return super.listen(after, (event) => (heard(event), events.push(event)), signal);
        }
      };
    const timeline = client(late);
    timeline.start();
    await events.until((event) => event.__typename === "LiveCaughtUp");
    await timeline.more();
    await post(given.alice, "the end");
    return atTheEnd();
  },

  // No token is to be had for a while, then the cursor is none.
  async goes_on() {
    failing = 2;
    let first = true;
    const confused = (kind) =>
      class extends kind {
        listen(after, heard, signal) {
          const given = first ? "nonsense" : after;
          first = false;
          return super.listen(given, heard, signal);
        }
      };
    client(confused).start();
    return atTheEnd();
  },

  waits: async () => given.failures.map(longestWait),

  async sleeps() {
    const timeline = client();
    timeline.start();
    await shows.until(has("sleep"));
    timeline.pause();
    await patiently(waitFor("wake up"), "being woken");
    timeline.start();
    return atTheEnd();
  },
});

async function waitFor(text) {
  const document = "{ homeTimeline(first: 5) { edges { node { post { text } } } } }";
  while (!has(text)((await ask(given.bob, document)).homeTimeline.edges)) await new Promise((next) => setTimeout(next, 50));
}
