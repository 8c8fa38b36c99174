// What fuzzing has kept: each file is read, or refused with a typed error. `npm run fuzz` looks for more.

import test from 'tape';
import { load } from './corpus.ts';
import { isTyped, readers } from './readers.ts';

for (const [name, { read: readHere, readApart: read = readHere, good, notFuzzed }] of Object.entries(
  readers,
)) {
  if (notFuzzed !== undefined) continue;
  test(`${name}: good files are read, and what fuzzing kept ends typed`, async (t) => {
    for (const bytes of await good()) {
      const end = await Promise.resolve(read(bytes)).catch((error) => error);
      t.notOk(end instanceof Error, `a good file of ${bytes.length} bytes: ${end}`.slice(0, 100));
    }
    const untyped: unknown[] = [];
    for (const bytes of load(name)) {
      try {
        await read(bytes);
      } catch (error) {
        if (!isTyped(error)) untyped.push((error as Error)?.stack ?? error);
      }
    }
    t.deepEqual(untyped, [], `${load(name).length} files`);
  });
}
