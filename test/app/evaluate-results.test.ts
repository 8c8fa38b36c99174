// The tables of cam/README.md say what the data beside the benchmarks says, and the data is of the shipped networks.

import { readFileSync } from 'node:fs';
import test from 'tape';
import type { Settings } from '../../app/evaluation/record.ts';
import { type Summary, shown } from '../../app/evaluation/summary.ts';

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

test('evaluate: ten times as many scenes say the same, three times as exactly', (t) => {
  for (const network of ['digit-scenes', 'digit-vit']) {
    const [few, many] = ['', '-3000'].map(
      (n) => JSON.parse(read(`bench/results/evaluate-${network}${n}.json`)) as Summary,
    ) as [Summary, Summary];
    t.deepEqual([few.pictures, many.pictures], [300, 3000]);
    const ratios: number[] = [];
    let furthest = 0;
    for (const { method, estimates } of many.methods) {
      const before = few.methods.find((one) => one.method === method)!.estimates;
      for (const { column, value, low, high } of estimates) {
        const same = before.find((one) => one.column.title === column.title)!;
        furthest = Math.max(furthest, Math.abs(value - same.value));
        ratios.push((same.high - same.low) / (high - low));
      }
    }
    const median = ratios.sort((a, b) => a - b)[ratios.length >> 1]!;
    t.ok(furthest < 0.04, `${network}: ${furthest}`);
    t.ok(Math.abs(median - Math.sqrt(10)) < 0.5, `${network}: intervals ${median} times as wide`);
  }
  t.end();
});

test("evaluate: the READMEs' tables are the data's numbers", (t) => {
  const tables = ['README.md', 'cam/README.md'].flatMap((file) => {
    const found = [...read(file).matchAll(/<!-- results: (.+) -->\n\n((?:\|.*\n)+)/g)];
    t.ok(found.length > 0, `${file}: ${found.length} tables`);
    return found;
  });
  for (const [, paths, table] of tables) {
    const files = paths!.split(' ').map((path) => JSON.parse(read(path)) as Summary & { settings: Settings });
    const [head, , ...rows] = table!
      .trim()
      .split('\n')
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    // Titles of a table of several files say which they are of: "transformer: pointing".
    const kinds = [...new Set(head!.slice(1).map((title) => title.replace(/(: )?[^:]*$/, '')))];
    t.equal(kinds.length, files.length, paths);
    for (const [name, ...cells] of rows) {
      const values = head!.slice(1).map((title, i) => {
        const [column, kind = ''] = title.split(': ').reverse();
        const found = files[kinds.indexOf(kind)]!.methods.find(({ method }) => method === name);
        if (found === undefined && files.length > 1) return '-';
        const one = found?.estimates.find((each) => each.column.title === column);
        if (one === undefined) return `no ${title} of ${name}`;
        const [value, low, high] = [one.value, one.low, one.high].map((number) =>
          shown(number, one.column.unit),
        );
        return cells[i]!.includes('[') ? `${value} [${low}, ${high}]` : value;
      });
      t.deepEqual(cells, values, `${paths}: ${name}`);
    }
  }
  t.end();
});
