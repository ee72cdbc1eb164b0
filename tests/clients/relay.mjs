// relay-runtime without React, running what relay-compiler made of relay/app.js.
import { createRequire } from "node:module";
import { createClient } from "graphql-ws";
import runtime from "relay-runtime";
import { bearer, given, graphqlUrl, Heard, like, play, post, socketUrl } from "./given.mjs";

const { alice, bob } = given;
// given.compiled: the folder of the compiler's output.
const compiled = (name) => createRequire(`${given.compiled}/`)(`./${name}.graphql.js`);
const SQUARE = compiled("SquareQuery");
const TIMELINE = compiled("Square_timeline");
const POST = compiled("Post_post");

// What went over the wire instead of documents, when the compiler has persisted them.
const ids = [];

// A persisted operation has an id and no text. The id travels as doc_id, as in Relay's own example.
function request({ id, text, name }, variables) {
  if (id) ids.push(id);
  return { ...(id ? { doc_id: id } : { query: text }), operationName: name, variables };
}

async function fetched(operation, variables) {
  const answer = await fetch(graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json", ...bearer(alice) },
    body: JSON.stringify(request(operation, variables)),
  });
  return answer.json();
}

const socket = createClient({ url: socketUrl, connectionParams: bearer(alice), retryAttempts: 0 });
// graphql-ws wants a query in any case; it stays empty where an id stands for it.
const subscribed = (operation, variables) =>
  runtime.Observable.create((sink) => socket.subscribe({ query: "", ...request(operation, variables) }, sink));

const environment = new runtime.Environment({
  network: runtime.Network.create(fetched, subscribed),
  store: new runtime.Store(new runtime.RecordSource()),
});

const run = (node, variables) => runtime.fetchQuery(environment, node, variables).toPromise();

// What a component that shows the square would read.
function square() {
  const operation = runtime.createOperationDescriptor(runtime.getRequest(SQUARE), {});
  return read(TIMELINE, environment.lookup(operation.fragment).data);
}

function read(fragment, reference) {
  return environment.lookup(runtime.getSelector(fragment, reference)).data;
}

const posts = () => square().publicTimeline.edges.map(({ node }) => read(POST, node.post));
const texts = () => posts().map(({ text }) => text);

async function open() {
  environment.retain(runtime.createOperationDescriptor(runtime.getRequest(SQUARE), {}));
  await run(SQUARE, {});
}

// What usePaginationFragment does for loadNext.
async function loadNext(count) {
  const { paginationRequest, paginationMetadata } = runtime.getPaginationMetadata(TIMELINE, "loadNext");
  const { endCursor, hasNextPage } = square().publicTimeline.pageInfo;
  if (!hasNextPage) return false;
  const page = runtime.getPaginationVariables("forward", count, endCursor, {}, {}, paginationMetadata);
  await run(paginationRequest, page);
  return true;
}

function live(connection) {
  const heard = new Heard();
  runtime.requestSubscription(environment, {
    subscription: compiled("SquareSubscription"),
    variables: { connections: [connection] },
    onNext: (data) => heard.push(data.publicTimelineEvents),
    onError: (reason) => heard.fail(reason),
  });
  return heard;
}

await play({
  async paginates() {
    await open();
    const pages = [texts()];
    while (await loadNext(2)) pages.push(texts());
    return pages;
  },

  async refetches() {
    await open();
    const [{ id, likeCount }] = posts();
    await like(bob, id);
    await run(compiled("PostRefetchQuery"), { id });
    return { before: likeCount, after: posts()[0].likeCount, ids };
  },

  async mutates() {
    await open();
    const [{ id }] = posts();
    await new Promise((onCompleted, onError) => {
      const mutation = compiled("LikeMutation");
      runtime.commitMutation(environment, { mutation, variables: { input: { postId: id } }, onCompleted, onError });
    });
    return posts()[0];
  },

  async subscribes() {
    await open();
    const before = texts();
    const heard = live(square().publicTimeline.__id);
    await heard.until((event) => event.__typename === "LiveCaughtUp");
    await post(alice, "live");
    await heard.until((event) => event.__typename === "TimelineEntryAdded");
    const [{ id }] = posts();
    await like(bob, id);
    await heard.until((event) => event.__typename === "TimelinePostUpdated");
    return { before, after: posts().map(({ text, likeCount }) => [text, likeCount]), ids };
  },

  // Something that the compiler never saw.
  untrusted: () => fetched({ text: "{ viewer { handle } }" }, {}),
});
