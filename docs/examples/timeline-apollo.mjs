// A home timeline in Apollo Client's cache that stays right through lost connections: what shows the query is drawn
// again whenever an event changes it.
//
//   const timeline = new ApolloTimeline({ http: "https://example.org/graphql", url: "wss://example.org/graphql", token });
//   timeline.client.watchQuery(timeline.query).subscribe(({ data }) => draw(data?.homeTimeline?.edges ?? []));
//   timeline.start();
//
// What keeps it right is in live-timeline.mjs.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { EVENTS, LiveTimeline, PAGE } from "./live-timeline.mjs";

const query = gql(PAGE);
const subscription = gql(EVENTS);

export class ApolloTimeline extends LiveTimeline {
  // What is shown is one list: the cache has it as the page at the top.
  query = { query, variables: { first: null, after: null }, fetchPolicy: "cache-only" };
  #first;
  #page = null;

  /**
   * @param {object} options those of LiveTimeline, and:
   * @param {string} options.http the address of queries and mutations
   * @param {number} [options.first] entries of a page
   */
  constructor({ http, first = 20, ...options }) {
    super(options);
    this.#first = first;
    const signed = new SetContextLink(async () => ({ headers: await this.authorization() }));
    const isLive = ({ operationType }) => operationType === "subscription";
    this.client = new ApolloClient({
      link: ApolloLink.split(isLive, new GraphQLWsLink(this.socket), signed.concat(new HttpLink({ uri: http }))),
      // Entries, posts and accounts have ids and are kept once: a like in any list, or a mutation's answer, shows here.
      cache: new InMemoryCache(),
    });
  }

  get edges() {
    return this.#page?.edges ?? [];
  }

  set edges(edges) {
    if (edges === this.#page.edges) return;
    this.#page = { ...this.#page, edges };
    this.client.cache.writeQuery({ ...this.query, data: { homeTimeline: this.#page } });
  }

  // Not into the cache at once: events that came meanwhile have to be applied to it.
  async page(after) {
    const variables = { first: this.#first, after };
    const options = { query, variables, fetchPolicy: "no-cache", errorPolicy: "all" };
    const { data, error } = await this.client.query(options);
    if (!data?.homeTimeline) throw error;
    this.#page ??= { ...data.homeTimeline, edges: [] };
    return data.homeTimeline;
  }

  // The post is gone from this list; now from all others.
  drop(postId) {
    this.client.cache.evict({ id: this.client.cache.identify({ __typename: "Post", id: postId }) });
    this.client.cache.gc();
  }

  listen(after, heard, signal) {
    return new Promise((resolve, reject) => {
      const events = this.client.subscribe({
        query: subscription,
        variables: { after },
        // A post that could not be loaded costs that post, not the cursor.
        errorPolicy: "all",
      });
      const running = events.subscribe({
        next({ data, error }) {
          if (data) return heard(data.homeTimelineEvents);
          reject(CombinedGraphQLErrors.is(error) ? error.errors : error);
          running.unsubscribe();
        },
        complete: resolve,
      });
      signal.addEventListener("abort", () => running.unsubscribe(), { once: true });
      signal.addEventListener("abort", resolve, { once: true });
    });
  }
}
