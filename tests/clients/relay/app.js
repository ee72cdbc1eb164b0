// The operations of an app as relay-compiler finds them; tests compile them against the printed schema.
graphql`
  fragment Post_post on Post @refetchable(queryName: "PostRefetchQuery") {
    id
    text
    likeCount
    viewerHasLiked
  }
`;

graphql`
  fragment Square_timeline on Query
  @refetchable(queryName: "SquarePaginationQuery")
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" }) {
    publicTimeline(first: $count, after: $cursor) @connection(key: "Square_publicTimeline") {
      __id
      edges {
        node {
          id
          post {
            id
            ...Post_post
          }
        }
      }
    }
  }
`;

graphql`
  query SquareQuery {
    ...Square_timeline
  }
`;

graphql`
  mutation LikeMutation($input: LikePostInput!) {
    likePost(input: $input) {
      post {
        ...Post_post
      }
      userErrors {
        message
      }
    }
  }
`;

graphql`
  subscription SquareSubscription($after: String, $connections: [ID!]!) {
    publicTimelineEvents(after: $after) {
      __typename
      liveCursor
      ... on TimelineEntryAdded {
        edge @prependEdge(connections: $connections) {
          cursor
          node {
            id
            post {
              id
              ...Post_post
            }
          }
        }
      }
      ... on TimelinePostUpdated {
        post {
          ...Post_post
        }
      }
    }
  }
`;
