// The tables of models/README.md name tests: each of them is there.

import { readFileSync } from 'node:fs';
import test from 'tape';

const page = new URL('../../models/README.md', import.meta.url);

test('every row of the tables names tests that are there', (t) => {
  const rows = readFileSync(page, 'utf8')
    .split('\n')
    .filter((line) => /^\|.*\.test\.ts\)/.test(line));
  t.ok(rows.length >= 25, `${rows.length} rows`);
  for (const row of rows) {
    const files = [...row.matchAll(/\]\((\S+\.test\.ts)\)/g)].map(([, path]) =>
      readFileSync(new URL(path!, page), 'utf8'),
    );
    const [, title] = /"([^"]+)" \|$/.exec(row) ?? [];
    if (title !== undefined)
      t.ok(
        files.some((text) => text.includes(title)),
        title,
      );
  }
  t.end();
});
