// @apollo/client without React: its links and its cache.
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache, Observable, ServerError } from "@apollo/client";
import { ErrorLink } from "@apollo/client/link/error";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import { from, switchMap } from "rxjs";
import { CREATE_POST, HOME_EVENTS, isCaughtUp, LIKE_POST, newPage, PUBLIC_PAGE, textOf, VIEWER } from "./documents.mjs";
import { ask, bearer, given, graphqlUrl, Heard, like, play, post, socketUrl, toldOf } from "./given.mjs";

const { alice, bob } = given;
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const page = { query: gql(PUBLIC_PAGE), variables: { first: 5 } };

// What went over the wire: the method, whether the document went with it, and the answer's status and type.
const sent = [];
async function watchedFetch(url, options) {
  const answer = await fetch(url, options);
  const body = options.method === "GET" ? Object.fromEntries(new URL(url).searchParams) : JSON.parse(options.body);
  sent.push({
    method: options.method,
    document: body.query !== undefined,
    hash: /sha256Hash/.test(JSON.stringify(body.extensions ?? "")),
    status: answer.status,
    type: answer.headers.get("content-type").split(";")[0],
  });
  return answer;
}

const http = (more = {}) => new HttpLink({ uri: graphqlUrl, headers: bearer(alice), fetch: watchedFetch, ...more });
const client = (link = http()) => new ApolloClient({ link, cache: new InMemoryCache() });
const socket = (more = {}) => new GraphQLWsLink(createClient({ url: socketUrl, connectionParams: bearer(alice), ...more }));

// As an app sets it up: subscriptions by socket, all else by HTTP.
const both = () => client(ApolloLink.split(({ operationType }) => operationType === "subscription", socket(), http()));

// The like counts that a query on the screen shows, as they change.
function likesShown(apollo) {
  const shown = new Heard();
  apollo.watchQuery(page).subscribe(({ data, dataState }) => {
    if (dataState === "complete") shown.push(data.publicTimeline.edges[0].node.post.likeCount);
  });
  return shown;
}

function events(apollo) {
  const heard = new Heard();
  apollo.subscribe({ query: gql(HOME_EVENTS) }).subscribe({
    next: ({ data, error }) => (error ? heard.fail(error) : heard.push(data.homeTimelineEvents)),
    error: (reason) => heard.fail(reason),
  });
  return heard;
}

async function persisted(options) {
  const link = () => new PersistedQueryLink({ sha256, ...options }).concat(http());
  const unknown = { ...page, query: gql(newPage()) };
  const first = (await client(link()).query(unknown)).data;
  const again = (await client(link()).query(unknown)).data;
  return { first, again, sent };
}

await play({
  query: async () => ({ ...(await client().query(page)), sent }),

  query_by_get: async () => ({ ...(await client(http({ useGETForQueries: true })).query(page)), sent }),

  async mutation() {
    const variables = { input: { text: "by Apollo" } };
    return (await client().mutate({ mutation: gql(CREATE_POST), variables })).data.createPost;
  },

  async event() {
    const heard = events(both());
    await heard.until(isCaughtUp);
    await post(alice, "live");
    return heard.until((event) => textOf(event) === "live");
  },

  // The cache knows a post by its type and id, so that what a mutation answers shows wherever the post does.
  async mutation_updates_the_page() {
    const apollo = client();
    const shown = likesShown(apollo);
    await shown.until((count) => count === 0);
    await apollo.mutate({ mutation: gql(LIKE_POST), variables: { id: given.post } });
    await shown.until((count) => count === 1);
    return { shown: shown.all, requests: sent.length };
  },

  async event_updates_the_page() {
    const apollo = both();
    const shown = likesShown(apollo);
    await shown.until((count) => count === 0);
    const heard = events(apollo);
    await heard.until(isCaughtUp);
    await like(bob, given.post);
    await shown.until((count) => count === 1);
    return { shown: shown.all, requests: sent.length };
  },

  async wrong_token() {
    const error = await client(http({ headers: { authorization: "Bearer nonsense" } })).query(page).catch((one) => one);
    const body = ServerError.is(error) ? JSON.parse(error.bodyText) : null;
    return { ...toldOf(error), graphql: CombinedGraphQLErrors.is(error), body, sent };
  },

  // As an app does it: at UNAUTHENTICATED the session is refreshed and the operation sent again.
  async refreshes() {
    let token = "nonsense";
    const refresh = async () => {
      const document =
        "mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { tokens { accessToken } } }";
      const data = await ask(null, document, { token: alice.refreshToken });
      token = data.refreshSession.tokens.accessToken;
    };
    const isOver = (error) =>
      CombinedGraphQLErrors.is(error)
        ? error.errors.some((one) => one.extensions?.code === "UNAUTHENTICATED")
        : ServerError.is(error) && error.statusCode === 401;
    const refreshing = new ErrorLink(({ error, operation, forward }) => {
      if (isOver(error)) return from(refresh()).pipe(switchMap(() => forward(operation)));
    });
    const signed = new ApolloLink((operation, forward) => {
      operation.setContext({ headers: { authorization: `Bearer ${token}` } });
      return forward(operation);
    });
    const link = ApolloLink.from([refreshing, signed, http({ headers: {} })]);
    return { data: (await client(link).query({ query: gql(VIEWER) })).data, sent };
  },

  async invalid() {
    return toldOf(await client().query({ query: gql("query Wrong { nothing }") }).catch((error) => error));
  },

  // A userError is data: nothing is thrown.
  async refused() {
    const variables = { input: { text: " " } };
    return (await client().mutate({ mutation: gql(CREATE_POST), variables })).data.createPost;
  },

  persisted_by_post: () => persisted({}),

  persisted_by_get: () => persisted({ useGETForHashedQueries: true }),

  async persisted_mutation() {
    const link = new PersistedQueryLink({ sha256 }).concat(http());
    const variables = { input: { text: "by hash" } };
    const mutation = gql(CREATE_POST.replace("CreatePost(", `Post${Date.now()}(`));
    const { data } = await client(link).mutate({ mutation, variables });
    return { payload: data.createPost, sent };
  },
});
