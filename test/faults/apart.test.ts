// What runs apart ends with its parent, and by its own clock, even while it is busy for ever.

import test from 'tape';
import { comesTrue, isAlive, start } from './processes.ts';

/** Far more than ending takes, on a busy machine too. */
const BOUND = 20_000;

for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`a busy child ends when its parent ends by ${signal}`, async (t) => {
    const parent = start('apart-parent.ts', ['3600000']);
    const child = Number(await parent.said);
    t.ok(isAlive(child), 'it is at work');
    parent.kill(signal);
    t.ok(await comesTrue(() => !isAlive(child), BOUND), 'it ended');
  });
}

test('a busy child ends by its own clock, though its parent is stopped', async (t) => {
  const parent = start('apart-parent.ts', ['1000']);
  const child = Number(await parent.said);
  parent.kill('SIGSTOP');
  t.ok(await comesTrue(() => !isAlive(child), BOUND), 'it ended');
  parent.kill('SIGKILL');
});
