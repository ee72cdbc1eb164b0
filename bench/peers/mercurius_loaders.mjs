// Mercurius with graphql-jit as its guide shows it: a resolver for each field that is no column, loaders for what is
// read for many objects at once. Answers any selection of these types, where home.mjs makes what the benchmark asks for.
import Fastify from 'fastify';
import mercurius from 'mercurius';

import { array } from './database.mjs';
import { given, tell } from './given.mjs';
import { homeEntries, readSides, start, usersByIds } from './home.mjs';
import { hex, moment, one, pair, url } from './texts.mjs';
import { viewerOf } from './tokens.mjs';

const opts = { cache: false }; // keys by JSON would cost more than they save
const cursorOf = (entry) => url('h', BigInt(entry.id), BigInt(entry.actor_id));

const resolvers = {
  Query: {
    async homeTimeline(_, { first }, context) {
      const page = await homeEntries(context.viewer, first);
      context.known = page.known;
      return page;
    },
  },
  TimelineConnection: {
    edges: (page) => page.entries,
    pageInfo: (page) => page,
  },
  PageInfo: {
    endCursor: (page) => (page.entries.length ? cursorOf(page.entries[page.entries.length - 1]) : null),
  },
  TimelineEdge: {
    cursor: cursorOf,
    sortKey: (entry) => hex(BigInt(entry.id)) + hex(BigInt(entry.actor_id)),
    node: (entry) => entry,
  },
  TimelineEntry: {
    id: (entry) => `e${pair(BigInt(entry.actor_id), BigInt(entry.id))}`,
    enteredAt: (entry) => moment(BigInt(entry.id)),
    post: (entry, _, context) => context.known.posts.get(entry.post_id),
  },
  Post: {
    id: (post) => `p${pair(BigInt(post.author_id), BigInt(post.id))}`,
    textDirection: (post) => post.direction,
    createdAt: (post) => moment(BigInt(post.id)),
    isReply: (post) => post.reply_to_id !== null,
    likeCount: (post) => post.like_count,
    repostCount: (post) => post.repost_count,
    replyCount: (post) => post.reply_count,
    // Read together with the post.
    author: (post, _, context) => context.known.users.get(post.author_id),
  },
  User: { id: (user) => `u${one(BigInt(user.id))}` },
};

const marked = (mark) => ({
  async loader(queries, context) {
    const missing = queries.map(({ obj }) => obj).filter((post) => !context.known.marks.has(post.id));
    if (missing.length) {
      const [authors, ids] = [missing.map((post) => post.author_id), missing.map((post) => post.id)];
      await readSides(context.viewer, new Set(), array(authors), array(ids), context.known);
    }
    return queries.map(({ obj }) => context.known.marks.get(obj.id)[mark]);
  },
  opts,
});

const loaders = {
  TimelineEntry: {
    repostedBy: {
      async loader(queries, context) {
        const { users } = context.known;
        const isRepost = ({ obj }) => obj.id !== obj.post_id;
        const reposters = queries.filter(isRepost).map(({ obj }) => obj.actor_id);
        const missing = [...new Set(reposters)].filter((id) => !users.has(id));
        const found = missing.length ? await usersByIds(missing) : [];
        missing.forEach((id, n) => users.set(id, found[n]));
        return queries.map((query) => (isRepost(query) ? users.get(query.obj.actor_id) : null));
      },
      opts,
    },
  },
  Post: { viewerHasLiked: marked('liked'), viewerHasReposted: marked('reposted') },
  User: {
    viewerIsFollowing: {
      async loader(queries, context) {
        const { ties } = context.known;
        const ids = queries.map(({ obj }) => obj.id).filter((id) => id !== context.viewer && !ties.has(id));
        if (ids.length) await readSides(context.viewer, new Set(ids), array([]), array([]), context.known);
        return queries.map(({ obj }) => ties.get(obj.id)?.followed_by_viewer ?? false);
      },
      opts,
    },
  },
};

const app = Fastify({ logger: false, keepAliveTimeout: 75000 });
app.register(mercurius, {
  schema: given.schema,
  jit: 1,
  context: (request) => ({ viewer: viewerOf(request.headers.authorization) }),
  resolvers,
  loaders,
});
await start();
await app.listen({ host: '127.0.0.1', port: 0 });
tell(app.server.address().port);
