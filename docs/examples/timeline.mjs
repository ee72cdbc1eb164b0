// A home timeline that stays right through lost connections: bare graphql-ws.
//
//   const timeline = new HomeTimeline({ url: "wss://example.org/graphql", token, show: (edges) => draw(edges) });
//   timeline.start();
//
// What keeps it right is in live-timeline.mjs.
import { EVENTS, LiveTimeline, PAGE } from "./live-timeline.mjs";

export class HomeTimeline extends LiveTimeline {
  #edges = [];
  #first;
  #show;

  /**
   * @param {object} options those of LiveTimeline, and:
   * @param {number} [options.first] entries of a page
   * @param {(edges: object[]) => void} [options.show] told what to show, newest first, after each change
   */
  constructor({ first = 20, show = () => {}, ...options }) {
    super(options);
    this.#first = first;
    this.#show = show;
  }

  get edges() {
    return this.#edges;
  }

  set edges(edges) {
    if (edges === this.#edges) return;
    this.#edges = edges;
    this.#show(edges);
  }

  async page(after) {
    const request = { query: PAGE, variables: { first: this.#first, after } };
    for await (const { data, errors } of this.socket.iterate(request)) {
      if (data?.homeTimeline) return data.homeTimeline;
      throw errors;
    }
    throw new Error("the connection was closed before the page came");
  }

  listen(after, heard, signal) {
    return new Promise((resolve, reject) => {
      const stop = this.socket.subscribe(
        { query: EVENTS, variables: { after } },
        {
          next({ data, errors }) {
            if (signal.aborted) return;
            if (data) return heard(data.homeTimelineEvents);
            reject(errors);
            stop();
          },
          error: reject,
          complete: resolve,
        },
      );
      signal.addEventListener("abort", stop, { once: true });
    });
  }
}
