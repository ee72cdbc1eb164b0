// What keeps a home timeline right through lost connections, whichever GraphQL client asks: pages, events, resuming.
// timeline.mjs (bare graphql-ws) and timeline-apollo.mjs (Apollo Client) say how to ask, and where the list is kept.
//
// The protocol, and why it is done like this: docs/live.md.
import { createClient } from "graphql-ws";

const POST = "id text likeCount repostCount replyCount author { id handle }";
const EDGE = `sortKey node { id enteredAt repostedBy { id handle } post { ${POST} } }`;
export const PAGE = `
  query HomePage($first: Int, $after: String) {
    homeTimeline(first: $first, after: $after) { liveCursor edges { ${EDGE} } pageInfo { hasNextPage endCursor } }
  }
`;
export const EVENTS = `
  subscription HomeEvents($after: String) {
    homeTimelineEvents(after: $after) {
      __typename liveCursor
      ... on TimelineEntryAdded { edge { ${EDGE} } }
      ... on TimelinePostUpdated { post { ${POST} } }
      ... on TimelineEntryRemoved { entryId unavailablePostId }
    }
  }
`;
// Milliseconds. The first try is nearly at once: most connections are lost by phones that change networks.
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
// Milliseconds: two pings of the server, and some more.
const SILENCE = 100_000;
const FORBIDDEN = 4403;
// Closed with these, the same would only happen again: they are mistakes of the app.
const MISTAKES = new Set([1009, 4400, 4401, 4406, 4409]);

/** Thrown by `token` when the session cannot be refreshed: somebody has to sign in. */
export class SignedOut extends Error {}

/** Milliseconds, after so many failures. */
export const longestWait = (failures) => Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);

/** Full jitter: without it all clients of a server that restarts would come back in the same moment. */
export const backoff = (failures) =>
  new Promise((resolve) => {
    setTimeout(resolve, Math.random() * longestWait(failures));
  });

const newestFirst = (one, other) => (one.sortKey < other.sortKey ? 1 : -1);

/** The edges with those of a page, which is newer, among them. A node is null when it could not be loaded. */
export function merged(edges, page) {
  const all = new Map([...edges, ...page.edges].filter(({ node }) => node).map((edge) => [edge.node.id, edge]));
  return [...all.values()].sort(newestFirst);
}

/** The edges after an event. `end`: the sortKey down to which pages were loaded, null for all. */
export function applied(edges, event, end) {
  switch (event.__typename) {
    case "TimelineEntryAdded":
      // An old entry can come back. Below the end it would stand alone: paging down brings it, with its neighbours.
      if (end !== null && event.edge.sortKey < end) return edges;
      return merged(edges, { edges: [event.edge] });
    case "TimelinePostUpdated":
      return edges.map((edge) =>
        edge.node.post.id === event.post?.id ? { ...edge, node: { ...edge.node, post: event.post } } : edge,
      );
    case "TimelineEntryRemoved":
      return edges.filter(({ node }) => node.id !== event.entryId && node.post.id !== event.unavailablePostId);
    default:
      return edges;
  }
}

export class LiveTimeline {
  #token;
  #ended;
  #running = null;
  #cursor = null;
  // Whether the server refused the last token.
  #refused = false;
  // Where the next page begins, and the sortKey of the last entry before it; null: everything is loaded.
  #next = null;
  #end = null;
  // Whether the list has to be fetched from the top.
  #stale = true;
  // While a page is on its way: the events that came meanwhile.
  #kept = null;
  // How often a page was asked for. Only the last answer counts.
  #asked = 0;

  /**
   * @param {object} options
   * @param {string} options.url the WebSocket's address
   * @param {(refused: boolean) => Promise<string>} options.token asked for an access token at each connection; `refused`
   *   when the server did not accept the last one: refresh the session. Throws SignedOut when that is refused, too.
   * @param {(reason: unknown) => void} [options.ended] told why it is over: SignedOut, or a mistake of the app
   * @param {number} [options.silence] milliseconds without a message after which the connection is taken for lost
   */
  constructor({ url, token, ended = console.error, silence = SILENCE }) {
    this.#token = token;
    this.#ended = ended;
    let timer;
    const alive = () => {
      clearTimeout(timer);
      // Half-open connections tell nobody that they are over.
      timer = setTimeout(() => this.socket.terminate(), silence);
    };
    this.socket = createClient({
      url,
      connectionParams: () => this.authorization(),
      // Tried again by #run: by itself graphql-ws gives up after 1011 and 4429, and when a token could not be fetched.
      retryAttempts: 0,
      // The page and the events share a connection.
      lazyCloseTimeout: 3_000,
      on: {
        connecting: alive,
        message: alive,
        closed: ({ code }) => {
          clearTimeout(timer);
          this.#refused ||= code === FORBIDDEN;
          if (MISTAKES.has(code)) this.#finish(new Error(`the socket was closed with ${code}`));
        },
      },
    });
  }

  // What a subclass says: the list that is shown (`edges`, get and set), how to ask for a page after a cursor (`page`),
  // and how to listen (`listen`): `heard` is called with each event; settles when the stream is over, or at the signal.

  /** Headers, or parameters of a connection. */
  async authorization() {
    const token = await this.#token(this.#refused);
    this.#refused = false;
    return { authorization: `Bearer ${token}` };
  }

  /** Begin, or go on after pause(). */
  start() {
    if (this.#running) return;
    this.#running = new AbortController();
    this.#run(this.#running.signal);
  }

  /** In the background: list and cursor stay, the connection does not. */
  pause() {
    this.#running?.abort();
    this.#running = null;
    this.socket.terminate();
  }

  get hasMore() {
    return this.#next !== null;
  }

  /** Load the next page below. Rejects when that fails; call it again then. */
  async more() {
    if (this.#kept || this.#stale || !this.hasMore) return;
    this.#kept = [];
    const mine = ++this.#asked;
    try {
      const page = await this.#page(this.#next);
      if (mine === this.#asked) this.#add(this.edges, page);
    } finally {
      if (mine === this.#asked) this.#settle();
    }
  }

  async #run(signal) {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        // Before a socket is open: the server does not wait long for its token.
        await this.authorization();
        if (this.#cursor === null || this.#stale) await this.#fetch(signal);
        if (signal.aborted) return;
        await this.listen(
          this.#cursor,
          (event) => {
            failures = 0;
            this.#heard(event, signal);
          },
          signal,
        );
      } catch (reason) {
        if (reason instanceof SignedOut) return this.#finish(reason);
        // An answer with errors, such as INVALID_CURSOR, in place of an event: the stream cannot go on from here.
        if (Array.isArray(reason)) this.#cursor = null;
      }
      if (!signal.aborted) await backoff(failures);
    }
  }

  #finish(reason) {
    this.pause();
    this.#ended(reason);
  }

  // From the top, until it is there. The cursor is that of the stream; only the first page, without one, gives its own.
  async #fetch(signal) {
    this.#stale = true;
    this.#kept = [];
    const mine = ++this.#asked;
    for (let failures = 0; mine === this.#asked && !signal.aborted; failures++) {
      try {
        const page = await this.#page(null);
        if (mine !== this.#asked || signal.aborted) return;
        this.#cursor ??= page.liveCursor;
        this.#stale = false;
        this.#add([], page);
        return this.#settle();
      } catch (reason) {
        if (reason instanceof SignedOut) return this.#finish(reason);
      }
      await backoff(failures);
    }
  }

  async #page(after) {
    try {
      return await this.page(after);
    } catch (reason) {
      // By HTTP a token is refused with 401; a socket is closed.
      const codes = [reason?.errors ?? reason].flat().map((error) => error?.extensions?.code);
      this.#refused ||= reason?.statusCode === 401 || codes.includes("UNAUTHENTICATED");
      throw reason;
    }
  }

  #add(edges, page) {
    const { hasNextPage, endCursor } = page.pageInfo;
    this.#next = hasNextPage ? endCursor : null;
    this.#end = hasNextPage ? page.edges.at(-1).sortKey : null;
    this.edges = merged(edges, page);
  }

  // What came while the page was on its way may be newer than the page: an entry that was removed must not stay.
  #settle() {
    const kept = this.#kept;
    this.#kept = null;
    for (const event of kept) this.#apply(event);
  }

  #heard(event, signal) {
    // Of events of a kind that is not known, too.
    this.#cursor = event.liveCursor;
    // The stream goes on, and what it brings from here on applies to the page that is asked for now.
    if (event.__typename === "LiveReset") this.#fetch(signal);
    else if (this.#kept) this.#kept.push(event);
    else this.#apply(event);
  }

  #apply(event) {
    this.edges = applied(this.edges, event, this.#end);
    if (event.unavailablePostId) this.drop?.(event.unavailablePostId);
  }
}
