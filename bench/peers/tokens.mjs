// Access tokens: Ed25519 is verified once for each token, which is then remembered until it is over.
import { createPublicKey, verify } from 'node:crypto';

import { given } from './given.mjs';

const LEEWAY = 5;
const MOST = 10_000;
const keys = new Map(given.jwks.keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: 'jwk' })]));
const known = new Map();

// The id of the account that an Authorization header stands for. Throws for anything that is no token in force.
export function viewerOf(authorization) {
  const token = authorization.slice(7);
  let claims = known.get(token);
  if (claims === undefined) {
    claims = read(token);
    known.set(token, claims);
    if (known.size > MOST) known.delete(known.keys().next().value);
  }
  if (claims.exp + LEEWAY <= Date.now() / 1000) throw new Error('expired');
  return claims.sub;
}

function read(token) {
  const [head, body, signature] = token.split('.');
  const { kid, typ, alg } = JSON.parse(Buffer.from(head, 'base64url'));
  const key = keys.get(kid);
  const signed = Buffer.from(signature, 'base64url');
  if (!key || typ !== 'at+jwt' || alg !== 'EdDSA' || !verify(null, Buffer.from(`${head}.${body}`), key, signed)) {
    throw new Error('not a token of ours');
  }
  const claims = JSON.parse(Buffer.from(body, 'base64url'));
  if (claims.iss !== 'maydan' || claims.aud !== 'maydan') throw new Error('not a token for us');
  return claims;
}
