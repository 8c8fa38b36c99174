// Ended at any moment, a process leaves no unfinished file and no child; after SIGKILL the next one removes them.

import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type Test } from 'tape';
import { seededRandom } from '../reference/index.ts';
import { comesTrue, isAlive, pause, start } from './processes.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const;
const KILLS_EACH = 7;
const body = Buffer.alloc(4e6, 'y');

/** Files that no longer serve anybody: a download that can be gone on with would. */
const unfinished = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.part$|\.lock$/.test(file));

/** In two pieces, so that there are moments between; without a version, so that a part is of no use afterwards. */
const server = createServer((_, response) => {
  response.writeHead(200, { 'content-length': body.length });
  response.write(body.subarray(0, 2e6));
  setTimeout(() => response.end(body.subarray(2e6)), 20);
});

/** Kills writers by one signal, and tells what they had begun and what of it is left. */
async function killEach(t: Test, signal: NodeJS.Signals, url: string) {
  const next = seededRandom(signal.length);
  const folder = mkdtempSync(join(tmpdir(), 'limelight-kill-'));
  mkdirSync(join(folder, 'out')); // a writer may be killed before it has made it
  const left: string[] = [];
  let [children, killed] = [0, 0];
  for (let i = 0; i < KILLS_EACH; i++) {
    const writer = start('writer.ts', [folder, url]);
    let said = '';
    writer.stdout!.on('data', (text) => {
      said += text;
    });
    const exited = once(writer, 'exit');
    await writer.said;
    // On a busy machine a child may be long in coming: half of the kills wait for one.
    if (i % 2 === 1) await comesTrue(() => said.includes('child'), 60_000);
    await pause(1500 * next());
    writer.kill(signal);
    const [, how] = await exited;
    if (how === signal) killed++;
    const pids = [...said.matchAll(/child (\d+)/g)].map(([, pid]) => Number(pid));
    children += pids.length;
    for (const pid of pids) if (!(await comesTrue(() => !isAlive(pid), 10_000))) left.push(`child ${pid}`);
    if (signal === 'SIGKILL') {
      const again = start('writer.ts', [folder, url, 'once']);
      const [status] = await once(again, 'exit');
      t.equal(status, 0, 'what is left does not keep the next process from its work');
    }
    left.push(...unfinished(folder).map((file) => `${file} after ${signal}`));
    for (const name of readdirSync(join(folder, 'out'))) {
      if (!name.startsWith('.') && readFileSync(join(folder, 'out', name)).length !== 4e6)
        left.push(`half of ${name}`);
    }
    rmSync(join(folder, 'hub'), { recursive: true, force: true });
  }
  rmSync(folder, { recursive: true });
  return { killed, children, left };
}

test(`killed ${signals.length * KILLS_EACH} times at random moments`, async (t) => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights`;
  // Side by side, each in a folder of its own, for most of their time is waiting.
  const found = await Promise.all(signals.map((signal) => killEach(t, signal, url)));
  const sum = (of: 'killed' | 'children') => found.reduce((total, one) => total + one[of], 0);
  t.equal(sum('killed'), signals.length * KILLS_EACH, 'each ended by its signal, as the shell expects');
  t.ok(sum('children') >= 12, `${sum('children')} children were at work`);
  t.deepEqual(
    found.flatMap(({ left }) => left),
    [],
    'nothing is left',
  );
  server.closeAllConnections();
  server.close();
});
