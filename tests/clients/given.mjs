// What the tests' scripts share: what they were given, a plain client, and how they tell what they found.
// A script is `play({ async scene() { … } })`: the scene that was asked for runs, and what it returns is printed as JSON.
import { setTimeout as sleep } from "node:timers/promises";

// url: the server; scene: which one; the rest is the scene's, such as people: { id, handle, token }.
export const given = JSON.parse(process.argv[2]);
// others: where people do by hand what the client under test only sees, when that is another server of the same network.
export const graphqlUrl = `${given.url}/graphql`;
export const socketUrl = graphqlUrl.replace("http", "ws");

// Seconds until something that should have come counts as missing; far more than it takes.
const PATIENCE = 20;

export async function play(scenes) {
  const result = await patiently(scenes[given.scene](), `the end of the scene ${given.scene}`, 5 * PATIENCE);
  // Whatever is still open ends with the process.
  process.stdout.write(`\n${JSON.stringify(result ?? null)}\n`, () => process.exit(0));
}

export async function patiently(promise, what, seconds = PATIENCE) {
  const late = new AbortController();
  const giveUp = async () => {
    await sleep(1000 * seconds, undefined, { signal: late.signal });
    throw new Error(`waited ${seconds} s for ${what}`);
  };
  try {
    return await Promise.race([promise, giveUp()]);
  } finally {
    late.abort();
  }
}

// What a person does beside the client that is tested: a POST by hand.
export async function ask(person, query, variables) {
  const answer = await fetch(`${given.others ?? given.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer(person) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

export const bearer = (person) => (person?.token ? { authorization: `Bearer ${person.token}` } : {});

export async function post(person, text) {
  const document = "mutation ($text: String!) { createPost(input: { text: $text }) { post { id } } }";
  return (await ask(person, document, { text })).createPost.post.id;
}

export async function like(person, postId) {
  await ask(person, "mutation ($id: ID!) { likePost(input: { postId: $id }) { post { id } } }", { id: postId });
}

// Things as they come, to be waited for: `heard.push(it)` by whoever brings them, `await heard.until(test)` by the reader.
export class Heard {
  all = [];
  #waiting = new Set();
  #failed = null;

  push(thing) {
    this.all.push(thing);
    for (const look of this.#waiting) look();
  }

  fail(reason) {
    this.#failed = { reason };
    for (const look of this.#waiting) look();
  }

  // The first thing so far or to come that passes. Rejects with what was given to fail().
  until(test, what, seconds = PATIENCE) {
    const found = new Promise((resolve, reject) => {
      const look = () => {
        const index = this.all.findIndex(test);
        if (index < 0 && !this.#failed) return;
        this.#waiting.delete(look);
        if (index < 0) reject(this.#failed.reason);
        else resolve(this.all[index]);
      };
      this.#waiting.add(look);
      look();
    });
    return patiently(found, `${what ?? test}; so far: ${JSON.stringify(this.all)}`, seconds);
  }
}

// An error in words and codes, whatever class a client wraps it in.
export function toldOf(error) {
  const inner = error.errors ?? error.graphQLErrors ?? (Array.isArray(error) ? error : []);
  return {
    name: error.name ?? null,
    message: error.message ?? null,
    codes: inner.map((one) => one.extensions?.code ?? null),
    status: error.statusCode ?? error.response?.status ?? null,
  };
}
