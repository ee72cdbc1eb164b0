// A home timeline in Apollo Client's cache that stays right through lost connections: what shows the query is drawn
// again whenever an event changes it.
//
//   const timeline = new ApolloTimeline({ http: "https://example.org/graphql", ws: "wss://example.org/graphql", token });
//   timeline.client.watchQuery(timeline.page).subscribe(({ data }) => show(data.homeTimeline.edges));
//   await timeline.start();
//
// The protocol, and why it is done like this: docs/live.md.
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import { backoff, EVENTS, PAGE } from "./timeline.mjs";

const QUERY = gql(PAGE);
const SUBSCRIPTION = gql(EVENTS);

export class ApolloTimeline {
  #cursor = null;
  // While the list has to be fetched: the events that came meanwhile, to be applied to it.
  #waiting = null;
  #fetches = 0;
  #stopped = false;

  constructor({ http, ws, token, first = 50 }) {
    const headers = async () => ({ authorization: `Bearer ${await token()}` });
    const byHttp = new SetContextLink(async () => ({ headers: await headers() })).concat(new HttpLink({ uri: http }));
    // Connected again from here, with the newest cursor: a link's own retry would ask with the first one for ever.
    const socket = createClient({ url: ws, connectionParams: headers, retryAttempts: 0 });
    const isLive = ({ operationType }) => operationType === "subscription";
    this.client = new ApolloClient({
      link: ApolloLink.split(isLive, new GraphQLWsLink(socket), byHttp),
      // An edge has no id of its own; entries, posts and accounts do, and are kept once.
      cache: new InMemoryCache({ possibleTypes: { Node: ["Post", "TimelineEntry", "User"] } }),
    });
    this.page = { query: QUERY, variables: { first } };
  }

  async start() {
    await this.#fetch();
    this.#watch(0);
  }

  stop() {
    this.#stopped = true;
    this.client.stop();
  }

  async #fetch() {
    this.#waiting = [];
    const mine = ++this.#fetches;
    for (let failures = 0; mine === this.#fetches && !this.#stopped; failures++) {
      try {
        const { data } = await this.client.query({ ...this.page, fetchPolicy: "network-only" });
        if (mine !== this.#fetches) return;
        // Nothing that happens after the page is missed. A stream that runs has its own cursor.
        this.#cursor ??= data.homeTimeline.liveCursor;
        const waiting = this.#waiting;
        this.#waiting = null;
        for (const event of waiting) this.#apply(event);
        return;
      } catch {
        await backoff(failures);
      }
    }
  }

  #watch(failures) {
    const again = async () => {
      await backoff(failures);
      if (!this.#stopped) this.#watch(failures + 1);
    };
    this.client.subscribe({ query: SUBSCRIPTION, variables: { after: this.#cursor }, fetchPolicy: "no-cache" }).subscribe({
      next: ({ data, error }) => {
        if (error) return void again();
        failures = 0;
        this.#heard(data.homeTimelineEvents);
      },
      error: again,
      complete: again,
    });
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
    }
  }

  #apply(event) {
    if (event.__typename === "TimelinePostUpdated") {
      // Kept once, by its id: every list that has the post shows it.
      const { post } = event;
      this.client.cache.modify({
        id: this.client.cache.identify(post),
        fields: {
          likeCount: () => post.likeCount,
          repostCount: () => post.repostCount,
          replyCount: () => post.replyCount,
        },
      });
      return;
    }
    this.client.cache.updateQuery(this.page, (data) => {
      if (!data) return data;
      const edges = this.#edges(data.homeTimeline.edges, event);
      return { ...data, homeTimeline: { ...data.homeTimeline, edges } };
    });
  }

  #edges(edges, event) {
    switch (event.__typename) {
      case "TimelineEntryAdded": {
        // Added or replaced: the same entry may be told again.
        const others = edges.filter((edge) => edge.node.id !== event.edge.node.id);
        return [...others, event.edge].sort((one, other) => (one.sortKey < other.sortKey ? 1 : -1));
      }
      case "TimelineEntryRemoved":
        return edges.filter(
          ({ node }) => node.id !== event.entryId && node.post.id !== event.unavailablePostId,
        );
      default:
        return edges;
    }
  }
}
