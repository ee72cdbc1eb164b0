// @urql/core with the exchanges that apps use. It lists text/event-stream in Accept on every request.
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { createClient as createSocket } from "graphql-ws";
import { CREATE_POST, HOME_EVENTS, isCaughtUp, newPage, PUBLIC_PAGE, textOf, VIEWER } from "./documents.mjs";
import { bearer, given, graphqlUrl, Heard, play, post, socketUrl } from "./given.mjs";

const { alice } = given;
const page = [PUBLIC_PAGE, { first: 5 }];

const sent = [];
async function watchedFetch(url, options) {
  const answer = await fetch(url, options);
  const body = options.method === "GET" ? Object.fromEntries(new URL(url).searchParams) : JSON.parse(options.body);
  sent.push({
    method: options.method,
    document: body.query !== undefined,
    hash: /sha256Hash/.test(JSON.stringify(body.extensions ?? "")),
    accept: options.headers.accept,
    status: answer.status,
    type: answer.headers.get("content-type").split(";")[0],
  });
  return answer;
}

function client({ person = alice, exchanges = [cacheExchange, fetchExchange], ...more } = {}) {
  const fetchOptions = () => ({ headers: bearer(person) });
  return new Client({ url: graphqlUrl, exchanges, fetchOptions, fetch: watchedFetch, ...more });
}

function told({ data, error }) {
  const codes = error?.graphQLErrors.map((one) => one.extensions?.code ?? null);
  return { data: data ?? null, error: error?.message ?? null, codes: codes ?? [], status: error?.response?.status ?? null, sent };
}

function events(urql) {
  const heard = new Heard();
  urql.subscription(HOME_EVENTS, {}).subscribe(({ data, error }) => {
    if (error) heard.fail(error);
    else heard.push(data.homeTimelineEvents);
  });
  return heard;
}

async function live(urql) {
  const heard = events(urql);
  await heard.until(isCaughtUp);
  await post(alice, "live");
  return heard.until((event) => textOf(event) === "live");
}

async function persisted(options) {
  const made = () => client({ exchanges: [cacheExchange, persistedExchange(options), fetchExchange] });
  const [, variables] = page;
  const unknown = newPage();
  const first = told(await made().query(unknown, variables));
  const again = told(await made().query(unknown, variables));
  return { first, again };
}

await play({
  // By GET, urql's default for what fits into a URL.
  query: async () => told(await client().query(...page)),

  // No header of a browser's own choice, so no preflight: what a CSRF rule may look at is only Accept.
  anonymous_query: async () => told(await client({ person: null }).query(VIEWER, {})),

  query_by_post: async () => told(await client({ preferGetMethod: false }).query(...page)),

  mutation: async () => told(await client().mutation(CREATE_POST, { input: { text: "by urql" } })),

  async wrong_token() {
    return told(await client({ person: { token: "nonsense" } }).query(...page));
  },

  invalid: async () => told(await client().query("{ nothing }", {})),

  async event_by_socket() {
    const socket = createSocket({ url: socketUrl, connectionParams: bearer(alice) });
    const forwardSubscription = (request) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? "" }, sink) }),
    });
    return live(client({ exchanges: [cacheExchange, fetchExchange, subscriptionExchange({ forwardSubscription })] }));
  },

  async event_by_sse() {
    const urql = client({ fetchSubscriptions: true });
    const event = await live(urql);
    // The other operations of the same client.
    const query = told(await urql.query(...page));
    const mutation = told(await urql.mutation(CREATE_POST, { input: { text: "by urql" } }));
    return { event, query, mutation };
  },

  async stopped_sse() {
    const heard = new Heard();
    const running = client({ fetchSubscriptions: true })
      .subscription(HOME_EVENTS, {})
      .subscribe(({ data }) => heard.push(data.homeTimelineEvents));
    await heard.until(isCaughtUp);
    running.unsubscribe();
    return heard.all.length;
  },

  persisted_by_get: () => persisted({}),

  persisted_by_post: () => persisted({ preferGetForPersistedQueries: false }),
});
