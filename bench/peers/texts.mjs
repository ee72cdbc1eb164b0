// Ids, cursors and moments as the API writes them.
export const EPOCH = 1735689600000;
export const SHIFT = 11n;

const cursorBytes = Buffer.alloc(17);
const pairBytes = cursorBytes.subarray(1);
const oneBytes = cursorBytes.subarray(1, 9);

export function url(kind, first, second) {
  cursorBytes.write(kind);
  pairBytes.writeBigInt64BE(first);
  pairBytes.writeBigInt64BE(second, 8);
  return cursorBytes.toString('base64url');
}

export function pair(first, second) {
  pairBytes.writeBigInt64BE(first);
  pairBytes.writeBigInt64BE(second, 8);
  return pairBytes.toString('base64url');
}

export function one(id) {
  oneBytes.writeBigInt64BE(id);
  return oneBytes.toString('base64url');
}

export function hex(id) {
  return id.toString(16).padStart(16, '0');
}

// RFC 3339 with microseconds, of which Date knows only thousands.
export function moment(id) {
  const micros = Number(id >> SHIFT);
  const millis = Math.floor(micros / 1000);
  const text = new Date(EPOCH + millis).toISOString();
  return `${text.slice(0, 23)}${String(micros - millis * 1000).padStart(3, '0')}Z`;
}
