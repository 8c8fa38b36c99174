// A parent whose child is busy for ever, with the limit in milliseconds that its argument gives (apart.test.ts).

import { apart } from '#platform';

const child = apart(new URL('./busy.ts', import.meta.url));
console.log(await child.ask('who', 60_000));
await child.ask('work', Number(process.argv[2])).catch(() => {});
