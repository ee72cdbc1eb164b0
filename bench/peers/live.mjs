// graphql-ws over ws: what is posted to /publish goes to every subscriber, executed for each as graphql-ws does.
import { createServer } from 'node:http';

import { makeExecutableSchema } from '@graphql-tools/schema';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

import { given, tell } from './given.mjs';

const subscribers = new Set();

// One subscriber's events, in a queue of its own.
async function* events() {
  const queue = [{ __typename: 'LiveCaughtUp', liveCursor: '' }];
  let wake = () => {};
  const push = (event) => {
    queue.push(event);
    wake();
  };
  subscribers.add(push);
  try {
    for (;;) {
      while (queue.length) yield { homeTimelineEvents: queue.shift() };
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    subscribers.delete(push);
  }
}

const schema = makeExecutableSchema({
  typeDefs: given.schema,
  resolvers: { Subscription: { homeTimelineEvents: { subscribe: events } } },
  resolverValidationOptions: { requireResolversForResolveType: 'ignore' },
});

const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (text) => {
    body += text;
  });
  request.on('end', () => {
    if (request.url === '/publish') {
      const event = JSON.parse(body).homeTimelineEvents;
      for (const push of subscribers) push(event);
    }
    const answer = request.url === '/publish' ? '{"data":"published"}' : '{"data":{"__typename":"Query"}}';
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length }).end(answer);
  });
});
// What posts may wait longer than Node's five seconds for its turn.
server.keepAliveTimeout = 75000;
useServer({ schema }, new WebSocketServer({ server, path: '/graphql' }));
server.listen(0, '127.0.0.1', () => tell(server.address().port));
