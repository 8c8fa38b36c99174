// Fetches the file of an address into a folder, as its arguments say, and prints where it is (downloads.test.ts).

import { cachedFile } from '../../models/hub/cache.node.ts';

const [url, folder, sha256, patience] = process.argv.slice(2) as [string, string, string, string];
const remote = { name: 'weights', url, bytes: 2 ** 20, ...(sha256 && { sha256 }) };
const note = (text: string) => console.error(text);
console.log(await cachedFile(remote, { folder, note, patience: Number(patience) }));
