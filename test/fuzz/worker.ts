// Runs one reader on changed files for as long as its thread lives; a file that reaches new code is changed further. The
// file at hand lies in shared memory, where the main thread finds it if it never comes back.

import { parentPort, workerData } from 'node:worker_threads';
import { exchanged } from '../models/mutations.ts';
import { seededRandom } from '../reference/index.ts';
import { COUNTERS } from './instrument.ts';
import { BEGUN, type Job, LARGEST, LENGTH, type Told } from './job.ts';
import type { Reader } from './readers.ts';

const { bundle, name, kept, seed, shared, progress } = workerData as Job;
const reached = new Uint8Array(COUNTERS);
Object.assign(globalThis, { reached });
const { readers, isTyped } = (await import(bundle)) as typeof import('./readers.ts');
const { read, good, repaired = (bytes) => bytes } = readers[name] as Reader;

const next = seededRandom(seed);
const below = (n: number) => Math.floor(next() * n);
const oneOf = <T>(list: readonly T[]): T => list[below(list.length)]!;
const tell = (told: Told) => parentPort!.postMessage(told);
const input = new Uint8Array(shared);

const corpus: Uint8Array[] = [];
/** By counter, which powers of two it has reached, a bit each. */
const known = new Uint8Array(COUNTERS);

/** Whether the last run has reached what none before has. */
function isNew(): boolean {
  let found = false;
  for (let i = 0; i < COUNTERS; i++) {
    if (reached[i] === 0) continue;
    const bit = 1 << (31 - Math.clz32(reached[i]!));
    if ((known[i]! & bit) !== 0) continue;
    known[i]! |= bit;
    found = true;
  }
  reached.fill(0);
  return found;
}

async function run(bytes: Uint8Array): Promise<void> {
  if (bytes.length > LARGEST) return;
  input.set(bytes);
  progress[LENGTH] = bytes.length;
  Atomics.add(progress, BEGUN, 1);
  const copy = Uint8Array.from(bytes);
  try {
    await read(copy);
  } catch (error) {
    if (!isTyped(error)) tell({ what: 'finding', bytes, why: String((error as Error)?.stack ?? error) });
  }
  if (!isNew()) return;
  corpus.push(bytes);
  tell({ what: 'kept', bytes, counters: known.reduce((count, bits) => count + (bits === 0 ? 0 : 1), 0) });
}

const ODD = [0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/** One change; see also mutations.ts, whose files keep their length. */
const changes: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
  (bytes) => bytes.with(below(bytes.length), below(256)),
  (bytes) => {
    const at = below(bytes.length);
    return bytes.with(at, bytes[at]! ^ (1 << below(8)));
  },
  (bytes) => {
    const view = new DataView(bytes.buffer);
    const width = oneOf([2, 4]);
    if (bytes.length < width) return bytes;
    const at = below(bytes.length - width + 1);
    const value = oneOf(ODD);
    if (width === 2) view.setUint16(at, value, next() < 0.5);
    else view.setUint32(at, value, next() < 0.5);
    return bytes;
  },
  (bytes) => spliced(bytes, below(bytes.length), 1 + below(16), new Uint8Array()),
  (bytes) => spliced(bytes, below(bytes.length), 0, piece(bytes)),
  (bytes) => spliced(bytes, below(bytes.length), 0, piece(oneOf(corpus))),
  (bytes) => {
    const other = piece(oneOf(corpus));
    return spliced(bytes, below(bytes.length), other.length, other);
  },
  (bytes) => Uint8Array.from([...bytes.subarray(0, below(bytes.length)), ...piece(oneOf(corpus))]),
];

function piece(bytes: Uint8Array): Uint8Array {
  const at = below(bytes.length);
  return bytes.subarray(at, at + 1 + below(next() < 0.9 ? 32 : bytes.length));
}

const spliced = (bytes: Uint8Array, at: number, removed: number, added: Uint8Array): Uint8Array =>
  Uint8Array.from([...bytes.subarray(0, at), ...added, ...bytes.subarray(at + removed)]);

function changed(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x7b && next() < 0.5) {
    try {
      const tree: unknown = JSON.parse(new TextDecoder().decode(bytes));
      return new TextEncoder().encode(JSON.stringify(exchanged(tree, next)));
    } catch {
      // It is no JSON any more.
    }
  }
  let made = Uint8Array.from(bytes);
  for (let i = 2 ** below(4); i > 0 && made.length > 0; i--) made = Uint8Array.from(oneOf(changes)(made));
  return next() < 0.9 ? repaired(made) : made;
}

for (const bytes of [...(await good()), ...kept]) await run(bytes);
for (;;) {
  // What came last has been changed least.
  const from = next() < 0.5 ? Math.floor(0.8 * corpus.length) : 0;
  await run(changed(corpus[from + below(corpus.length - from)]!));
}
