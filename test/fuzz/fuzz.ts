// Fuzzing with a memory: files that reach new code of a reader are kept and changed further.
//
//   npm run fuzz -- onnx --seconds 60        # one reader
//   npm run fuzz -- --seconds 60             # all of them in turn
//   npm run fuzz -- onnx --seconds 600 --keep   # what was kept becomes part of corpus/
//
// A finding is an error that is not typed, a file that takes more than SLOW, and one that takes more than MUCH_MEMORY;
// each is written to limelight-out/fuzz. The exit code is 1 where there was one.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker as Thread } from 'node:worker_threads';
import { keep, load } from './corpus.ts';
import { bundle } from './instrument.ts';
import { BEGUN, type Job, LARGEST, LENGTH, type Told } from './job.ts';
import { readers } from './readers.ts';

/** Seconds of a processor: more than any file of LARGEST bytes has a reason to take. */
const SLOW = 10;
/** Bytes by which the process may grow. */
const MUCH_MEMORY = 2 ** 31;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
  },
});
const strange = positionals.find((name) => !Object.hasOwn(readers, name));
if (strange !== undefined) {
  console.error(`fuzz: there is no reader "${strange}"; they are ${Object.keys(readers).join(', ')}`);
  process.exit(2);
}
const chosen = positionals.length > 0 ? positionals : Object.keys(readers);
const names = chosen.filter((name) => readers[name]!.notFuzzed === undefined);
for (const name of chosen) if (!names.includes(name)) console.log(`${name}: ${readers[name]!.notFuzzed}`);

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const out = 'limelight-out/fuzz';
mkdirSync(out, { recursive: true });
const found = new Set<string>();
function note(name: string, bytes: Uint8Array, why: string): void {
  // One of each kind: errors are told apart by where they were thrown.
  const kind = `${name} ${why.split('\n').slice(0, 3).join().replace(/\d+/g, '')}`;
  if (found.has(kind)) return;
  found.add(kind);
  const path = join(out, `${name}-${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}`);
  writeFileSync(path, bytes);
  console.log(`FOUND ${name}: ${path} (${bytes.length} bytes): ${why.split('\n').slice(0, 6).join('\n  ')}`);
}

/** Fuzzes one reader for so long, in threads that are started again where one was ended. */
async function fuzz(name: string, seconds: number): Promise<void> {
  const end = Date.now() + 1000 * seconds;
  const kept = load(name);
  const fresh: Uint8Array[] = [];
  let [counters, first, runs] = [0, 0, 0];
  for (let seed = Number(options.seed); Date.now() < end; seed++) {
    const shared = new SharedArrayBuffer(LARGEST);
    const progress = new Int32Array(new SharedArrayBuffer(8));
    const workerData: Job = {
      bundle: String(pathToFileURL(bundled!)),
      name,
      kept: [...kept, ...fresh],
      seed,
      shared,
      progress,
    };
    const thread = new Thread(worker!, { workerData });
    const atHand = () => Uint8Array.from(new Uint8Array(shared).subarray(0, progress[LENGTH]));
    const before = process.memoryUsage().rss;
    const known = workerData.kept.length + (await readers[name]!.good()).length;
    let told = 0;
    let [atWork, since] = [0, cpuSeconds()];
    await new Promise<void>((done) => {
      const watch = setInterval(() => {
        const begun = Atomics.load(progress, BEGUN);
        if (begun !== atWork) [atWork, since] = [begun, cpuSeconds()];
        const grown = process.memoryUsage().rss - before;
        const isSlow = begun > 0 && cpuSeconds() - since > SLOW;
        if (isSlow) note(name, atHand(), `it takes more than ${SLOW} s`);
        if (grown > MUCH_MEMORY)
          note(name, atHand(), `the process grew by ${Math.round(grown / 2 ** 20)} MB`);
        if (isSlow || grown > MUCH_MEMORY || Date.now() > end) thread.terminate();
      }, 200);
      thread.on('message', (one: Told) => {
        if (one.what === 'finding') note(name, one.bytes, one.why);
        else {
          if (++told > known) fresh.push(one.bytes);
          else first = Math.max(first, one.counters);
          counters = Math.max(counters, one.counters);
        }
      });
      thread.on('error', (error) => note(name, atHand(), `the thread ended: ${error.stack ?? error}`));
      thread.on('exit', () => {
        clearInterval(watch);
        done();
      });
    });
    runs += progress[BEGUN]!;
  }
  console.log(
    `${name}: ${runs} files in ${seconds.toFixed(0)} s; ${counters} of the pieces of code reached, ${first} by the corpus; ` +
      `${fresh.length} files reached new ones`,
  );
  if (options.keep) keep(name, [...kept, ...fresh]);
}

// Inside node_modules, where the codecs that are loaded by their name are found.
const [bundled, worker] = ['readers', 'worker'].map((name) =>
  here(`../../node_modules/.cache/limelight-fuzz/${name}.mjs`),
);
await bundle(here('readers.ts'), bundled!, true);
await bundle(here('worker.ts'), worker!, false);
for (const name of names) await fuzz(name, Number(options.seconds) / names.length);
process.exit(found.size > 0 ? 1 : 0);
