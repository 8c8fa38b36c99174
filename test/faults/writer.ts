// Does without end what leaves files or processes behind when it is interrupted, in the folder that its argument names;
// with "once", each once (kill.test.ts).

import { join } from 'node:path';
import { apart } from '#platform';
import { writeWhole } from '../../app/image/write.node.ts';
import { keepFiles } from '../../engine/platform/node/cache.ts';
import { cachedFile } from '../../models/hub/cache.node.ts';

const [folder, url, often] = process.argv.slice(2) as [string, string, string?];
const bytes = Buffer.alloc(4e6, 'x');
const drivers = () =>
  new Map([
    ['a.so', bytes],
    ['b.json', bytes],
  ]);
const turn = { count: often === 'once' ? 0 : process.pid };

const work: readonly (() => Promise<unknown>)[] = [
  () => writeWhole(join(folder, 'out', `${turn.count % 3}.png`), bytes),
  () => keepFiles([join(folder, 'drivers')], `driver-${turn.count}`, ['a.so', 'b.json'], drivers),
  () =>
    cachedFile({ name: `weights-${turn.count}`, url, bytes: bytes.length }, { folder: join(folder, 'hub') }),
  async () => {
    const child = apart(new URL('./busy.ts', import.meta.url));
    process.stdout.write(`child ${await child.ask('who', 60_000)}\n`);
    if (often !== 'once') await child.ask('work', 60_000);
    child.end();
  },
];
console.log('ready');
await Promise.all(
  work.map(async (step) => {
    do {
      await step();
      turn.count++;
    } while (often !== 'once');
  }),
);
