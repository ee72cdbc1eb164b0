// What the benchmark gives each server: schema, statements, public keys, database. And the way to start listening.
import { readFileSync } from 'node:fs';

export const given = JSON.parse(readFileSync(process.env.BENCH_GIVEN, 'utf8'));

// The benchmark reads the port from our standard output, and our standard input ends with the benchmark.
export function tell(port) {
  process.stdin.on('end', () => process.exit(0)).resume();
  process.on('SIGTERM', () => process.exit(0));
  process.stdout.write(`${port}\n`);
}
