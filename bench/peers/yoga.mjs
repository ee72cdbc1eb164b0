// GraphQL Yoga on Fastify (measured cheaper than on Node's own HTTP server), with its caches of documents.
import Fastify from 'fastify';
import { createYoga } from 'graphql-yoga';

import { contextOf, schema } from './executable.mjs';
import { tell } from './given.mjs';
import { start } from './home.mjs';

const yoga = createYoga({
  schema,
  context: ({ req }) => contextOf(req.headers.authorization),
  logging: false,
  graphiql: false,
  landingPage: false,
  multipart: false,
  cors: false,
});
const app = Fastify({ logger: false, keepAliveTimeout: 75000 });
app.route({
  url: yoga.graphqlEndpoint,
  method: 'POST',
  handler: (req, reply) => yoga.handleNodeRequestAndResponse(req, reply, { req, reply }),
});
await start();
await app.listen({ host: '127.0.0.1', port: 0 });
tell(app.server.address().port);
