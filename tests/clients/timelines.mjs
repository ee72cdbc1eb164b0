// The clients of docs/examples: each keeps a timeline until a post says that it is the end, and tells what it shows.
import { pathToFileURL } from "node:url";
import { given, graphqlUrl, Heard, play, socketUrl } from "./given.mjs";

const example = (name) => import(pathToFileURL(`${given.examples}/${name}`));
const token = async () => given.bob.token;
const shown = (edges) => edges.map(({ node }) => [node.id, node.post.text, node.post.likeCount, node.repostedBy?.handle ?? null]);

// Told while it is killed and started again: a minute at most.
async function atTheEnd(lists) {
  const end = (edges) => edges.some(({ node }) => node.post.text === "the end");
  return shown(await lists.until(end, "the end"));
}

await play({
  async graphql_ws() {
    const { HomeTimeline } = await example("timeline.mjs");
    const lists = new Heard();
    const timeline = new HomeTimeline({ url: socketUrl, token, onChange: (edges) => lists.push(edges) });
    await timeline.start();
    return atTheEnd(lists);
  },

  async apollo() {
    const { ApolloTimeline } = await example("timeline-apollo.mjs");
    const lists = new Heard();
    const timeline = new ApolloTimeline({ http: graphqlUrl, ws: socketUrl, token });
    timeline.client.watchQuery(timeline.page).subscribe(({ data, dataState }) => {
      if (dataState === "complete") lists.push(data.homeTimeline.edges);
    });
    await timeline.start();
    return atTheEnd(lists);
  },
});
