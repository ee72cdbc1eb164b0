// Statements: named and prepared, each on whichever connection of the pool is free. Measured: postgres.js costs more,
// and connections used in turn without a pool cost no less. 64-bit ids stay strings; arrays of them are joined and
// split by hand.
import pg from 'pg';

import { given } from './given.mjs';

const INT8 = 20;
const INT8S = 1016;
pg.types.setTypeParser(INT8, (text) => text);
pg.types.setTypeParser(INT8S, (text) => (text.length > 2 ? text.slice(1, -1).split(',') : []));

const pool = new pg.Pool({ ...given.database, max: given.pool, idleTimeoutMillis: 0 });
const statements = new Map(Object.entries(given.queries));

// An array of ids, as PostgreSQL reads it.
export const array = (ids) => `{${[...ids].join(',')}}`;

// The rows of a named query.
export async function rows(name, values) {
  return (await pool.query({ name, text: statements.get(name), values })).rows;
}
