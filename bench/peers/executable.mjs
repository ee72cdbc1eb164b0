// What Yoga and Apollo execute: the schema, the one field that reads a page, and reposters by a DataLoader.
import { makeExecutableSchema } from '@graphql-tools/schema';
import DataLoader from 'dataloader';

import { given } from './given.mjs';
import { homePage, usersByIds } from './home.mjs';
import { viewerOf } from './tokens.mjs';

// One operation's context.
export function contextOf(authorization) {
  return { viewer: viewerOf(authorization), users: new DataLoader(usersByIds) };
}

export const schema = makeExecutableSchema({
  typeDefs: given.schema,
  resolvers: {
    Query: { homeTimeline: (_, { first }, context) => homePage(context.viewer, first) },
    TimelineEntry: {
      repostedBy: ({ reposterId, reposter }, _, context) =>
        reposterId === null ? null : (reposter ?? context.users.load(reposterId)),
    },
  },
  resolverValidationOptions: { requireResolversForResolveType: 'ignore' },
});
