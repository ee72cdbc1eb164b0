// Mercurius with graphql-jit from the first request on, and its own loaders.
import Fastify from 'fastify';
import mercurius from 'mercurius';

import { given, tell } from './given.mjs';
import { homePage, start, usersByIds } from './home.mjs';
import { viewerOf } from './tokens.mjs';

const app = Fastify({ logger: false, keepAliveTimeout: 75000 });
app.register(mercurius, {
  schema: given.schema,
  jit: 1,
  context: (request) => ({ viewer: viewerOf(request.headers.authorization) }),
  resolvers: {
    Query: { homeTimeline: (_, { first }, context) => homePage(context.viewer, first) },
  },
  loaders: {
    TimelineEntry: {
      repostedBy: {
        async loader(queries) {
          const missing = queries.filter(({ obj }) => obj.reposterId !== null && !obj.reposter);
          const ids = [...new Set(missing.map(({ obj }) => obj.reposterId))];
          const users = ids.length ? await usersByIds(ids) : [];
          const found = new Map(ids.map((id, n) => [id, users[n]]));
          return queries.map(({ obj }) => (obj.reposterId === null ? null : (obj.reposter ?? found.get(obj.reposterId))));
        },
        opts: { cache: false },
      },
    },
  },
});
await start();
await app.listen({ host: '127.0.0.1', port: 0 });
tell(app.server.address().port);
