// Apollo Server on Fastify, without the parts that this API does not use.
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginCacheControlDisabled } from '@apollo/server/plugin/disabled';
import fastifyApollo from '@as-integrations/fastify';
import Fastify from 'fastify';

import { contextOf, schema } from './executable.mjs';
import { tell } from './given.mjs';
import { start } from './home.mjs';

const apollo = new ApolloServer({
  schema,
  introspection: false,
  persistedQueries: false,
  stopOnTerminationSignals: false,
  plugins: [ApolloServerPluginCacheControlDisabled()],
});
await apollo.start();
const app = Fastify({ logger: false, keepAliveTimeout: 75000 });
app.register(fastifyApollo(apollo), { context: async (request) => contextOf(request.headers.authorization) });
await start();
await app.listen({ host: '127.0.0.1', port: 0 });
tell(app.server.address().port);
