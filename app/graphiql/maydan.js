/* GraphiQL for Maydan: who acts, how operations travel, and which examples stand ready.
   HTTP: POST with JSON. Subscriptions: graphql-transport-ws on the same path. */
"use strict";

(() => {
  // GraphiQL's dialogs add one <style> element; with this nonce the page's policy lets it in.
  window.__webpack_nonce__ = document.currentScript.nonce;

  const settings = JSON.parse(document.getElementById("settings").textContent);
  const graphqlUrl = new URL(settings.graphqlPath, location.href);
  const socketUrl = new URL(graphqlUrl);
  socketUrl.protocol = location.protocol === "https:" ? "wss:" : "ws:";

  // ---------------------------------------------------------------- who acts

  const ANONYMOUS = null;
  // Per browser tab, so that two tabs can be two people.
  const REMEMBERED = "maydan:act-as";
  // A token this close to its end is renewed before it is used.
  const RENEW_BEFORE_SECONDS = 30;

  let accounts = []; // of demo mode: [{handle, displayName, accessToken}]
  let actor = ANONYMOUS; // a handle, or nobody
  let renewing = null; // one request for fresh tokens at a time
  const identityChanged = new EventTarget();

  /** Fetch the demo accounts with fresh tokens; calls at the same time share one request. */
  function renewAccounts() {
    renewing ??= fetch(settings.demoPath, { method: "POST", headers: { "X-Maydan-Demo": "1" }, cache: "no-store" })
      .then((response) => {
        if (!response.ok) throw new Error(`The demo accounts could not be fetched (HTTP ${response.status}).`);
        return response.json();
      })
      .then((fresh) => { accounts = fresh; })
      .finally(() => { renewing = null; });
    return renewing;
  }

  /** When a JWT ends, in seconds since 1970; never, for a token that is not one. */
  function endOf(token) {
    try {
      const claims = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
      return JSON.parse(atob(claims)).exp ?? Infinity;
    } catch {
      return Infinity;
    }
  }

  const account = () => accounts.find((each) => each.handle === actor);

  /** The Authorization value for the chosen identity, renewed when it is about to end; undefined for anonymous. */
  async function authorization() {
    if (actor === ANONYMOUS) return undefined;
    await renewing;
    if (endOf(account().accessToken) - RENEW_BEFORE_SECONDS < Date.now() / 1000) await renewAccounts();
    return `Bearer ${account().accessToken}`;
  }

  function actAs(handle) {
    actor = handle;
    sessionStorage.setItem(REMEMBERED, handle ?? "");
    say(handle === ANONYMOUS ? "Acting as nobody" : `Acting as @${handle}`);
    identityChanged.dispatchEvent(new Event("change"));
  }

  /** Whom to start as: ?as=handle, else what this tab had before, else the first demo account. */
  function firstActor() {
    const known = (handle) => accounts.some((each) => each.handle === handle);
    const asked = new URLSearchParams(location.search).get("as");
    if (known(asked)) return asked;
    const remembered = sessionStorage.getItem(REMEMBERED);
    if (remembered === "") return ANONYMOUS;
    return known(remembered) ? remembered : accounts[0]?.handle ?? ANONYMOUS;
  }

  // ---------------------------------------------------------------- the bar

  const status = document.getElementById("status");

  function say(text, live) {
    status.textContent = text;
    if (live === undefined) delete status.dataset.live;
    else status.dataset.live = live ? "on" : "off";
  }

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function showIdentities() {
    const choice = (handle, label, hint) => {
      const radio = element("input", { type: "radio", name: "act-as", value: handle ?? "", checked: handle === actor });
      radio.addEventListener("change", () => actAs(handle));
      return element("label", { title: hint }, radio, element("span", { dir: "auto" }, label));
    };
    document.getElementById("identity").replaceChildren(element("fieldset", {},
      element("legend", {}, "Act as"),
      choice(ANONYMOUS, "Anonymous", "Without a token"),
      ...accounts.map((each) => choice(each.handle, each.displayName, `@${each.handle}`))));
  }

  function showHeaderHint(text) {
    document.getElementById("identity").replaceChildren(element("p", {}, text,
      element("code", {}, '{"Authorization": "Bearer …"}')));
  }

  // ---------------------------------------------------------------- queries and mutations

  const named = (headers, name) =>
    Object.entries(headers ?? {}).find(([key]) => key.toLowerCase() === name)?.[1];

  async function send(params, headers) {
    const token = named(headers, "authorization") ?? await authorization();
    return fetch(graphqlUrl, {
      method: "POST",
      cache: "no-store",
      credentials: "omit",
      headers: {
        "Accept": "application/graphql-response+json, application/json;q=0.9",
        "Content-Type": "application/json",
        ...(token === undefined ? {} : { Authorization: token }),
        ...headers,
      },
      body: JSON.stringify(params),
    });
  }

  /** A demo token that the server refuses is renewed once; one from the headers editor is the visitor's own. */
  async function ask(params, headers) {
    let response = await send(params, headers);
    if (response.status === 401 && actor !== ANONYMOUS && named(headers, "authorization") === undefined) {
      await renewAccounts();
      response = await send(params, headers);
    }
    const text = await response.text();
    try {
      return JSON.parse(text);
    } catch {
      return { errors: [{ message: `HTTP ${response.status}: ${text.slice(0, 300) || response.statusText}` }] };
    }
  }

  // ---------------------------------------------------------------- subscriptions

  const CLOSED_AS_FORBIDDEN = 4403;
  const PAYLOADS_SHOWN = 50;
  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  let stopListening = () => {}; // ends the running subscription; GraphiQL has one at a time

  /** An observable over a socket of its own: what is chosen or edited meanwhile applies to the next one. */
  const listen = (params, headers) => ({
    subscribe(sink) {
      stopListening();
      const own = named(headers, "authorization");
      const asDemoUser = () => own === undefined && actor !== ANONYMOUS;
      const who = () => (own !== undefined ? "with your own token" : asDemoUser() ? `as @${actor}` : "as anonymous");
      const payload = { ...params, variables: { ...params.variables } };
      let received = [];

      const client = window.graphqlWs.createClient({
        url: socketUrl.href,
        retryAttempts: 20,
        // At once the first time (another identity, a restart), then slower and slower.
        retryWait: (retries) => pause(retries === 0 ? 0 : Math.min(500 * 2 ** retries, 15_000)),
        shouldRetry: (event) => event.code !== CLOSED_AS_FORBIDDEN || asDemoUser(),
        connectionParams: async () => {
          const token = own ?? await authorization();
          return token === undefined ? {} : { authorization: token };
        },
        on: {
          connected: () => say(`Live ${who()}`, true),
          closed: (event) => {
            say("Not connected", false);
            // The next attempt waits for this; if it fails, that attempt fails with the reason.
            if (event.code === CLOSED_AS_FORBIDDEN && asDemoUser()) renewAccounts().catch(() => {});
          },
        },
      });

      const reconnect = () => {
        if (own !== undefined) return;
        received = [];
        if ("after" in payload.variables) payload.variables.after = null; // it was a cursor of somebody else
        client.terminate();
      };
      identityChanged.addEventListener("change", reconnect);

      const stop = () => {
        identityChanged.removeEventListener("change", reconnect);
        client.dispose();
        say("");
      };
      stopListening = stop;

      client.subscribe(payload, {
        next: (result) => {
          received = [result, ...received].slice(0, PAYLOADS_SHOWN);
          // Come back after a lost connection where it broke off, as an app should.
          const cursor = Object.values(result.data ?? {})[0]?.liveCursor;
          if (cursor && "after" in payload.variables) payload.variables.after = cursor;
          sink.next({ "received, newest first": received });
        },
        error: (problem) => {
          stop();
          const closed = problem instanceof CloseEvent;
          sink.error(closed ? new Error(`The socket was closed: ${problem.code} ${problem.reason}`) : problem);
        },
        complete: () => {
          stop();
          sink.complete();
        },
      });
      return { unsubscribe: stop };
    },
  });

  /** The operations of a document, [{kind, name}]: the words at its top level, strings and comments aside. */
  function operationsIn(query) {
    const words = query.replace(/"""[^]*?"""|"(?:\\.|[^"\\\n])*"|#.*/g, " ").match(/[{}()]|\w+/g) ?? [];
    const found = [];
    let depth = 0;
    words.forEach((word, index) => {
      if (word === "{" || word === "(") depth += 1;
      else if (word === "}" || word === ")") depth -= 1;
      else if (depth === 0 && /^(query|mutation|subscription)$/.test(word) && words[index - 1] !== "fragment") {
        const next = words[index + 1] ?? "";
        found.push({ kind: word, name: /^\w+$/.test(next) ? next : undefined });
      }
    });
    return found;
  }

  /** What GraphiQL calls for every operation. */
  function fetcher(params, options) {
    // GraphiQL's own idea of the operation lags behind by a moment when the tab changes, so the text decides.
    const operations = operationsIn(params.query);
    const chosen = operations.find((each) => each.name === params.operationName) ?? operations[0];
    const exact = { ...params, operationName: chosen?.name };
    return chosen?.kind === "subscription" ? listen(exact, options?.headers) : ask(exact, options?.headers);
  }

  // ---------------------------------------------------------------- examples

  // Kept apart from other GraphiQLs on the same host and port.
  const PREFIX = "maydan:";
  const storage = {
    getItem: (key) => localStorage.getItem(PREFIX + key),
    setItem: (key, value) => localStorage.setItem(PREFIX + key, value),
    removeItem: (key) => localStorage.removeItem(PREFIX + key),
    get length() { return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX)).length; },
    clear() {
      Object.keys(localStorage).filter((key) => key.startsWith(PREFIX)).forEach((key) => localStorage.removeItem(key));
    },
  };

  const SAMPLE = `query Samples {
    publicTimeline(first: 20) { edges { node { post { id replyCount author { id handle } } } } }
  }`;

  /** The examples, with a real post and a real account in place of the {{placeholders}} where there is one. */
  async function exampleTabs() {
    let found = {};
    try {
      const { data } = await ask({ query: SAMPLE, operationName: "Samples" });
      const posts = data.publicTimeline.edges.map((edge) => edge.node?.post).filter(Boolean);
      const post = posts.find((each) => each.replyCount > 0) ?? posts[0];
      const author = posts.map((each) => each.author).find((each) => each.handle !== actor);
      found = { "post id": post?.id, "user id": author?.id, "handle": author?.handle };
    } catch {
      // An empty or unreachable server: the placeholders then say what to enter.
    }
    return settings.examples.map(({ query, variables }) => ({
      query,
      variables: variables.trimEnd().replace(/\{\{(.+?)\}\}/g, (whole, name) => found[name] ?? whole),
    }));
  }

  // ---------------------------------------------------------------- start

  const root = ReactDOM.createRoot(document.getElementById("graphiql"));
  let generation = 0;

  async function open() {
    const defaultTabs = await exampleTabs();
    // On a first visit GraphiQL takes the first tab's document from defaultTabs, but its variables from here.
    if (storage.getItem("graphiql:tabState") === null) storage.setItem("graphiql:variables", defaultTabs[0].variables);
    const props = {
      fetcher,
      storage,
      defaultTabs,
      defaultEditorToolsVisibility: "variables",
      inputValueDeprecation: true,
    };
    root.render(React.createElement(GraphiQL, { key: generation++, ...props }));
  }

  document.getElementById("reset").addEventListener("click", async () => {
    stopListening();
    root.render(null);
    storage.clear();
    await open();
  });

  async function start() {
    if (settings.demoPath === null) {
      showHeaderHint("To act as somebody, enter in Headers: ");
    } else {
      try {
        await renewAccounts();
        actor = firstActor();
        showIdentities();
      } catch (error) {
        showHeaderHint(`${error.message} Enter in Headers: `);
      }
    }
    await open();
  }

  start();
})();
