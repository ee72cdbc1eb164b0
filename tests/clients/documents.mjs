import { randomUUID } from "node:crypto";

// Operations that several clients send.
export const POST = "id text likeCount viewerHasLiked author { id handle }";

export const PUBLIC_PAGE = `query PublicPage($first: Int!, $after: String) {
  publicTimeline(first: $first, after: $after) {
    liveCursor
    pageInfo { hasNextPage endCursor }
    edges { cursor node { id post { ${POST} } } }
  }
}`;

// The same under a name that no server has seen: a hash is new only once.
export const newPage = () => PUBLIC_PAGE.replace("PublicPage", `Page${randomUUID().replaceAll("-", "")}`);

export const CREATE_POST = `mutation CreatePost($input: CreatePostInput!) {
  createPost(input: $input) { post { ${POST} } userErrors { code message field } }
}`;

export const LIKE_POST = `mutation LikePost($id: ID!) {
  likePost(input: { postId: $id }) { post { id likeCount viewerHasLiked } userErrors { code } }
}`;

export const VIEWER = "query Viewer { viewer { id handle } }";

const EVENTS = `
  __typename liveCursor
  ... on TimelineEntryAdded { edge { cursor sortKey node { id post { ${POST} } } } }
  ... on TimelinePostUpdated { post { id likeCount } }
  ... on TimelineEntryRemoved { entryId unavailablePostId }`;

export const HOME_EVENTS = `subscription HomeEvents($after: String) { homeTimelineEvents(after: $after) { ${EVENTS} } }`;

export const PUBLIC_EVENTS = `subscription PublicEvents($after: String) { publicTimelineEvents(after: $after) { ${EVENTS} } }`;

// The text of the post that an event brings in, if it does.
export const textOf = (event) => event?.edge?.node.post.text;
export const isCaughtUp = (event) => event?.__typename === "LiveCaughtUp";
