// A home timeline that stays right through lost connections: graphql-ws, which connects again by itself.
//
//   const timeline = new HomeTimeline({ url: "wss://example.org/graphql", token, onChange: (edges) => show(edges) });
//   timeline.start();
//
// The protocol, and why it is done like this: docs/live.md.
import { createClient } from "graphql-ws";

const EDGE = `
  cursor sortKey
  node { id enteredAt repostedBy { handle } post { id text likeCount repostCount replyCount author { handle } } }
`;
export const PAGE = `query ($first: Int) { homeTimeline(first: $first) { liveCursor edges { ${EDGE} } } }`;
export const EVENTS = `
  subscription ($after: String) {
    homeTimelineEvents(after: $after) {
      __typename liveCursor
      ... on TimelineEntryAdded { edge { ${EDGE} } }
      ... on TimelinePostUpdated { post { id text likeCount repostCount replyCount author { handle } } }
      ... on TimelineEntryRemoved { entryId unavailablePostId }
    }
  }
`;
// Milliseconds. The first try is nearly at once: most connections are lost by phones that change networks.
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
// Closed with these, the same would only happen again: they are mistakes of the app.
const FATAL = new Set([4400, 4401, 4406, 4409]);

/** Full jitter: a server that restarts would else meet all of its clients in the same moment. */
export const backoff = (failures) =>
  new Promise((resolve) => {
    setTimeout(resolve, Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures));
  });

export class HomeTimeline {
  #client;
  #held = new Map();
  #cursor = null;
  // While the list has to be fetched: the events that came meanwhile, to be applied to it.
  #waiting = [];
  #fetches = 0;
  #stop = () => {};

  /**
   * @param {object} options
   * @param {string} options.url the WebSocket's address
   * @param {() => Promise<string>} options.token asked for an access token at each connection
   * @param {number} [options.first] entries that are held
   * @param {(edges: object[]) => void} [options.onChange] told what to show, after each change
   */
  constructor({ url, token, first = 50, onChange = () => {}, ...more }) {
    this.first = first;
    this.onChange = onChange;
    this.#client = createClient({
      url,
      // A new token at each connection: 4403 closes a socket whose session was not refreshed.
      connectionParams: async () => ({ Authorization: `Bearer ${await token()}` }),
      retryAttempts: Infinity,
      retryWait: backoff,
      shouldRetry: (reason) => !FATAL.has(reason?.code),
      ...more,
    });
  }

  /** What to show, newest first. */
  get edges() {
    return [...this.#held.values()].sort((one, other) => (one.sortKey < other.sortKey ? 1 : -1));
  }

  async start() {
    await this.#fetch();
    const timeline = this;
    this.#stop = this.#client.subscribe(
      {
        query: EVENTS,
        // Read whenever the client subscribes, so that after a lost connection it goes on behind the last event.
        variables: {
          get after() {
            return timeline.#cursor;
          },
        },
      },
      {
        next: ({ data }) => data?.homeTimelineEvents && this.#heard(data.homeTimelineEvents),
        error: (error) => console.error("the timeline is not live any more", error),
        complete: () => {},
      },
    );
  }

  stop() {
    this.#stop();
    this.#client.dispose();
  }

  async #fetch() {
    this.#waiting = [];
    const mine = ++this.#fetches;
    for (let failures = 0; mine === this.#fetches; failures++) {
      try {
        for await (const { data } of this.#client.iterate({ query: PAGE, variables: { first: this.first } })) {
          if (data?.homeTimeline && mine === this.#fetches) return this.#fetched(data.homeTimeline);
        }
      } catch {
        // Asked again below.
      }
      await backoff(failures);
    }
  }

  #fetched(page) {
    this.#held = new Map(page.edges.map((edge) => [edge.node.id, edge]));
    // Nothing that happens after the page is missed. A stream that runs has its own cursor.
    this.#cursor ??= page.liveCursor;
    const waiting = this.#waiting;
    this.#waiting = null;
    for (const event of waiting) this.#apply(event);
    this.onChange(this.edges);
  }

  #heard(event) {
    // Of events of a kind that is not known, too.
    this.#cursor = event.liveCursor;
    if (event.__typename === "LiveReset") {
      // Fetch the list again; the stream goes on, and what it brings from here on applies to the new list.
      this.#fetch();
    } else if (this.#waiting) {
      this.#waiting.push(event);
    } else {
      this.#apply(event);
      this.onChange(this.edges);
    }
  }

  #apply(event) {
    switch (event.__typename) {
      case "TimelineEntryAdded":
        // Added or replaced: the same entry may be told again.
        this.#held.set(event.edge.node.id, event.edge);
        break;
      case "TimelinePostUpdated":
        for (const { node } of this.#held.values()) {
          if (node.post.id === event.post.id) node.post = event.post;
        }
        break;
      case "TimelineEntryRemoved":
        for (const [id, { node }] of this.#held) {
          if (id === event.entryId || node.post.id === event.unavailablePostId) this.#held.delete(id);
        }
    }
  }
}
