// What a file takes is bounded by its bytes: seconds of a processor and megabytes, in a process that may be ended.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'tape';
import { readers } from './readers.ts';
import { worst } from './worst.ts';

interface Took {
  readonly reader: string;
  readonly file: string;
  readonly bytes?: number;
  readonly seconds: number;
  readonly megabytes: number;
  readonly end: string;
}

/** After so long without a word the process is ended, and the file that it is at has no end. */
const PATIENCE_MS = 120_000;
const child = fileURLToPath(new URL('ceilings.ts', import.meta.url));

/** What the worst files of some readers took. */
async function take(names: readonly string[]): Promise<readonly Took[]> {
  const flags = ['--expose-gc', '--conditions=source', '--import', 'tsx', child];
  const reading = spawn(process.execPath, [...flags, ...names], { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => reading.kill('SIGKILL');
  let [text, patience] = ['', setTimeout(kill, PATIENCE_MS)];
  for await (const chunk of reading.stdout) {
    text += chunk;
    clearTimeout(patience);
    patience = setTimeout(kill, PATIENCE_MS);
  }
  clearTimeout(patience);
  const lines = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Took);
  return lines.filter(({ bytes }, i) => bytes !== undefined || i === lines.length - 1);
}

const skip = existsSync('/proc/self/clear_refs') ? false : 'the peak of memory is read from Linux';

test('every reader has its worst files, and its ceiling stands in the table', (t) => {
  t.deepEqual(Object.keys(worst).sort(), Object.keys(readers).sort());
  const table = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  for (const [name, { ceiling }] of Object.entries(worst)) {
    const { seconds, secondsEach, megabytes, megabytesEach } = ceiling;
    const row = `| ${name} | ${seconds} + ${secondsEach} each | ${megabytes} + ${megabytesEach} each |`;
    t.ok(table.includes(row), row);
  }
  t.end();
});

test('the worst files of every reader stay below its ceiling', { skip }, async (t) => {
  const took = await take(Object.keys(worst));
  const files = Object.values(worst).flatMap(({ files }) => Object.keys(files));
  t.equal(took.length, files.length, 'each came to an end');
  for (const { reader, file, bytes, seconds, megabytes, end } of took) {
    const { ceiling } = worst[reader]!;
    const size = (bytes ?? 0) / 1e6;
    const [time, space] = [
      ceiling.seconds + ceiling.secondsEach * size,
      ceiling.megabytes + ceiling.megabytesEach * size,
    ];
    const what = `${reader}: ${file}, ${bytes} bytes: ${seconds?.toFixed(2)} of ${time.toFixed(1)} s, ${megabytes?.toFixed(0)} of ${space.toFixed(0)} MB, ${end}`;
    t.ok(/^(read|refused)$/.test(end) && seconds < time && megabytes < space, what);
  }
});
