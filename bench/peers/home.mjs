// The first page of the home timeline: the statements and the rules of Maydan's resolvers/home.py, home_entries.py
// and visibility.py. `homePage` makes of them what the benchmark asks for, in one go; mercurius_loaders.mjs leaves that
// to fields.
import { array, rows } from './database.mjs';
import { EPOCH, SHIFT, hex, moment, one, pair, url } from './texts.mjs';

const TOP = (1n << 63n) - 1n;
const REPOST_REST = 24n * 3600n * 1000000n;
const [FEW, WALK_PER_ACCOUNT, WIDER, MARGIN, SAMPLE, MOST] = [100, 5, 4, 2, 16, 500];
const SHORTEST_SPAN = (60n * 1000000n) << SHIFT;
// Milliseconds between looks at the log's head, as Maydan's live hub has.
const LOOK_EVERY = 250;

let liveCursor = '';

// Begin to know how far the log is.
export async function start() {
  await look();
  setInterval(look, LOOK_EVERY);
}

async function look() {
  const [{ epoch, number }] = await rows('log_head', [0]);
  liveCursor = Buffer.from(`h.${epoch}.${number}`).toString('base64url');
}

// The entries of a page and what was read about them: `known` has posts, ties, marks and users by id.
export async function homeEntries(viewer, size = 20) {
  const cursor = liveCursor;
  const [{ ids }] = await rows('followed_by', [viewer]);
  const members = new Set(ids).add(viewer);
  const actors = array(members);
  const shown = [];
  const known = { posts: new Map(), ties: new Map(), marks: new Map(), users: new Map() };
  let [after, tie, chunk] = [TOP, TOP, size + 1 + ((size + 1) >> 2) + 4];
  for (;;) {
    const entries = await entriesBelow(viewer, actors, members.size, after, tie, chunk);
    const fitting = entries.filter(
      (entry) =>
        members.has(entry.actor_id) &&
        (entry.id !== entry.post_id || comesIn(entry.actor_id, entry.reply_to_author_id, viewer, members)),
    );
    await read(viewer, actors, fitting, known);
    for (const entry of fitting) {
      const post = known.posts.get(entry.post_id);
      if (!post || isBlocked(known.ties, entry.post_author_id) || isBlocked(known.ties, entry.actor_id)) continue;
      if (entry.id === entry.post_id || !isCovered(entry, post, viewer, members)) shown.push(entry);
    }
    if (shown.length > size || entries.length < chunk) break;
    const last = entries[entries.length - 1];
    [after, tie, chunk] = [BigInt(last.id), BigInt(last.actor_id), Math.min(chunk * 2, MOST)];
  }
  return { liveCursor: cursor, entries: shown.slice(0, size), hasNextPage: shown.length > size, known };
}

// The connection as the schema has it, made at once; only `repostedBy` is left to a loader.
export async function homePage(viewer, size = 20) {
  const { liveCursor, entries, hasNextPage, known } = await homeEntries(viewer, size);
  const edges = entries.map((entry) => edgeOf(entry, known, viewer));
  return {
    liveCursor,
    pageInfo: { hasNextPage, endCursor: edges.length ? edges[edges.length - 1].cursor : null },
    edges,
  };
}

// Accounts by id: those who reposted and wrote none of the page's posts.
export async function usersByIds(ids) {
  const found = new Map();
  for (const row of await rows('users_by_ids', [array(ids)])) {
    found.set(row.id, userOf(row.id, row));
  }
  return ids.map((id) => found.get(id) ?? null);
}

function userOf(id, row) {
  return { id, handle: row.handle, displayName: row.display_name, avatarUrl: row.avatar_url };
}

async function entriesBelow(viewer, actors, count, after, tie, limit) {
  if (count <= FEW) return rows('entries_of_few_down', [actors, after, tie, limit, viewer]);
  const walk = WALK_PER_ACCOUNT * count;
  const found = await rows('entries_walked_down', [actors, after, tie, walk, limit, viewer]);
  if (found.length >= limit) return found;
  const [reached] = await rows('entry_at_depth_down', [after, tie, Math.floor(walk / SAMPLE)]);
  if (!reached) return found;
  const latest = BigInt(Date.now() + 60000 - EPOCH) * 1000n << SHIFT;
  const begin = after < latest ? after : latest;
  const last = found[found.length - 1];
  if (last) [after, tie] = [BigInt(last.id), BigInt(last.actor_id)];
  const sampled = begin - BigInt(reached.id);
  let edge = begin - (sampled > SHORTEST_SPAN ? sampled : SHORTEST_SPAN) * BigInt(SAMPLE);
  if (edge < 1n) edge = 1n;
  if (last && after < edge) edge = after;
  while (found.length < limit && edge !== 0n) {
    const wanted = found.length ? (MARGIN * (limit - found.length)) / found.length : WIDER;
    edge -= BigInt(Math.floor(Number(begin - edge) * Math.min(wanted, WIDER)));
    if (edge < 0n) edge = 0n;
    const more = await rows('entries_of_many_down', [actors, after, tie, edge, limit - found.length, viewer]);
    for (const entry of more) found.push(entry);
    [after, tie] = [edge, -1n];
  }
  return found;
}

async function read(viewer, actors, fitting, known) {
  const keys = new Map(fitting.map((entry) => [entry.post_id, entry.post_author_id]));
  if (!keys.size) return;
  const [ids, authors] = [array(keys.keys()), array(keys.values())];
  const people = new Set(keys.values());
  for (const entry of fitting) people.add(entry.actor_id);
  const [posts] = await Promise.all([
    rows('posts_by_keys', [authors, ids, actors]),
    readSides(viewer, people, authors, ids, known),
  ]);
  for (const post of posts) {
    known.posts.set(post.id, post);
    known.users.set(post.author_id, userOf(post.author_id, post));
  }
}

// What the viewer has to do with accounts (a set of ids) and posts (arrays of their authors and ids).
export async function readSides(viewer, people, authors, ids, known) {
  people.delete(viewer);
  for (const side of await rows('viewer_side', [viewer, array(people), authors, ids])) {
    if (side.post_id === null) known.ties.set(side.user_id, side);
    else known.marks.set(side.post_id, side);
  }
}

function comesIn(author, answered, viewer, members) {
  return answered === null || author === viewer || answered === author || members.has(answered);
}

function isBlocked(ties, id) {
  const tie = ties.get(id);
  return tie !== undefined && (tie.blocked_by_viewer || tie.blocks_viewer);
}

function isCovered(entry, post, viewer, members) {
  const later = BigInt(entry.id);
  const [author, answered] = [entry.post_author_id, entry.reply_to_author_id];
  if (members.has(author) && comesIn(author, answered, viewer, members) && rests(BigInt(entry.post_id), later)) {
    return true;
  }
  return (post.actor_ids ?? []).some((actor, n) => {
    const at = BigInt(post.entry_ids[n]);
    return actor !== entry.actor_id && (rests(at, later) || (at === later && BigInt(actor) < BigInt(entry.actor_id)));
  });
}

function rests(earlier, later) {
  return earlier < later && (later >> SHIFT) - (earlier >> SHIFT) <= REPOST_REST;
}

function edgeOf(entry, known, viewer) {
  const [id, actor] = [BigInt(entry.id), BigInt(entry.actor_id)];
  const post = known.posts.get(entry.post_id);
  const mark = known.marks.get(entry.post_id);
  const [postId, author] = [BigInt(post.id), BigInt(post.author_id)];
  return {
    cursor: url('h', id, actor),
    sortKey: hex(id) + hex(actor),
    node: {
      id: `e${pair(actor, id)}`,
      enteredAt: moment(id),
      reposterId: entry.id === entry.post_id ? null : entry.actor_id,
      reposter: known.users.get(entry.actor_id),
      post: {
        id: `p${pair(author, postId)}`,
        text: post.text,
        textDirection: post.direction,
        createdAt: moment(postId),
        isReply: post.reply_to_id !== null,
        likeCount: post.like_count,
        repostCount: post.repost_count,
        replyCount: post.reply_count,
        viewerHasLiked: mark.liked,
        viewerHasReposted: mark.reposted,
        author: {
          id: `u${one(author)}`,
          handle: post.handle,
          displayName: post.display_name,
          avatarUrl: post.avatar_url,
          viewerIsFollowing: post.author_id !== viewer && known.ties.get(post.author_id).followed_by_viewer,
        },
      },
    },
  };
}
