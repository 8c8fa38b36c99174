// A parent whose child is busy for ever, with the limit in milliseconds that its argument gives (apart.test.ts).

import { apart } from '#platform';

const child = apart(new URL('./busy.ts', import.meta.url));
const who = await child.ask('who', 60_000);
const work = child.ask('work', Number(process.argv[2])).catch(() => {});
// Once the child has been asked to work: a parent that is stopped before would never ask it.
setTimeout(() => console.log(who), 100);
await work;
