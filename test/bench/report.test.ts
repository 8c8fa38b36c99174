// The report: numbers as they are shown, tables, one HTML file, and the README's tables.

import test from 'tape';
import { fillTables } from '../../bench/report/fill.ts';
import { html } from '../../bench/report/html.ts';
import { costPlot, heatPlot, rooflinePlot, speedPlot } from '../../bench/report/plots.ts';
import { digits, machinesTable, markdown, measurementTable, tablesOf } from '../../bench/report/tables.ts';
import type { Measurement } from '../../bench/results.ts';
import { sharesOf } from '../../bench/shares.ts';
import { resultsOf } from './results.ts';

const measurements: Measurement[] = [
  {
    case: 'relu 1M',
    engine: 'limelight',
    outcome: { first: 30, samples: [1, 2, 3], repeats: 4, difference: 0 },
  },
  {
    case: 'relu 1M',
    engine: 'limelight',
    variant: 'naive',
    outcome: { first: 3, samples: [4, 4, 4], repeats: 4, difference: 2e-5 },
  },
  { case: 'relu 1M', engine: 'jax-js', outcome: { failed: 'a <bad> "thing" | broke' } },
];
const results = resultsOf(measurements);

test('numbers have three significant digits', (t) => {
  t.deepEqual([1234.5, 123.4, 12.345, 1.2345, 0.012345, 0].map(digits), [
    '1235',
    '123',
    '12.3',
    '1.23',
    '0.0123',
    '0',
  ]);
  t.equal(digits(Number.NaN), '-');
  t.equal(digits(1e-12), '0.000000');
  t.end();
});

test('a row tells median, rates and share of the roofline', (t) => {
  const { rows, head } = measurementTable(results);
  // 8 MB in 2 ms are 4 GB/s, of 10; 1 MFLOP in 2 ms are 0.5 GFLOP/s.
  t.deepEqual(rows[0], [
    'relu 1M',
    'limelight',
    '2.00',
    '1.50 - 2.50',
    '3',
    '30.0',
    '0.500',
    '4.00',
    '40.0 %',
    '',
  ]);
  t.deepEqual(rows[1]!.slice(0, 3), ['', 'limelight: naive', '4.00'], 'the case is named once');
  t.equal(rows[1]!.at(-1), '2e-5', 'how far a variant is from what the engine computes');
  t.equal(rows[2]![2], 'a <bad> "thing" | broke', 'what failed is said in its place');
  t.ok(rows.every((row) => row.length === head.length));
  t.end();
});

test('Markdown keeps its columns', (t) => {
  const lines = markdown({ title: '', head: ['a', 'b'], rows: [['1|2', 'x']] }).split('\n');
  t.deepEqual(lines, ['| a | b |', '|---|---|', '| 1\\|2 | x |']);
  t.end();
});

test('the report is one file, in which nothing is markup but its own', (t) => {
  const page = html(results, tablesOf(results), [{ title: 'Plot', caption: 'a "plot"', svg: '<svg/>' }]);
  t.ok(page.startsWith('<!doctype html>'));
  t.ok(page.includes('a &lt;bad&gt; &quot;thing&quot;'));
  t.notOk(page.includes('<bad>'));
  t.ok(page.includes('<svg/>'));
  t.notOk(/(src|href)=/.test(page), 'nothing is loaded');
  t.end();
});

/** Values of the named field in the last layer that has data of its own, or in the plot's data. */
const valuesOf = (spec: unknown): readonly Record<string, number | string>[] => {
  const { data, layer } = spec as { data?: { values: Record<string, number>[] }; layer?: { data?: never }[] };
  return data?.values ?? valuesOf(layer!.at(-1));
};

test('plots hold what was measured', (t) => {
  const dots = valuesOf(rooflinePlot(results)!.spec);
  t.deepEqual(dots[0], { case: 'relu 1M', engine: 'limelight', intensity: 0.125, gflops: 0.5 });
  t.equal(dots.length, 2, 'nothing for what failed');
  t.deepEqual(valuesOf(speedPlot(results)!.spec), [
    { case: 'relu 1M', engine: 'limelight: naive', speed: 0.5 },
  ]);
  t.equal(rooflinePlot(resultsOf([])), undefined, 'nothing to plot');
  t.equal(speedPlot(resultsOf(measurements.slice(0, 1))), undefined, 'nobody beside Limelight');
  const cost = costPlot(
    resultsOf([
      {
        case: 'net, forward',
        engine: 'limelight',
        outcome: { first: 1, samples: [2], repeats: 1, difference: 0 },
      },
      {
        case: 'net, cam',
        engine: 'limelight',
        outcome: { first: 1, samples: [5], repeats: 1, difference: 0 },
      },
    ]),
    [{ title: 'net', forward: 'net, forward', cases: ['net, cam', 'net, not measured'] }],
  );
  t.deepEqual(valuesOf(cost!.spec), [{ network: 'net', method: 'cam', passes: 2.5 }]);
  t.end();
});

test("a README's tables are made anew, and nothing else changes", (t) => {
  const before = 'Before\n<!-- table: results/a.json -->\nold\n<!-- end of table -->\nAfter\n';
  const files: string[] = [];
  const filled = fillTables(
    before,
    (file) => {
      files.push(file);
      return results;
    },
    [],
  );
  t.deepEqual(files, ['results/a.json']);
  t.ok(filled.startsWith('Before\n<!-- table: results/a.json -->\n\npaper (gles), 100 GFLOP/s'));
  t.ok(filled.includes('| relu 1M | limelight | 2.00 |'));
  t.ok(filled.endsWith('\n<!-- end of table -->\nAfter\n'));
  t.notOk(filled.includes('old'));
  t.equal(
    fillTables(filled, () => results, []),
    filled,
    'filling twice changes nothing',
  );
  t.equal(
    fillTables('no tables', () => results, []),
    'no tables',
  );
  t.equal(
    fillTables(before, () => undefined, []),
    before,
    'what was not measured stays',
  );
  t.end();
});

test('a machine is a row, a variant of a case there a tile', (t) => {
  const row = (variant: string | undefined, ms: number, name = 'relu 1M'): Measurement => ({
    case: name,
    engine: 'limelight',
    ...(variant && { variant }),
    outcome: { first: 1, samples: [ms], repeats: 1, difference: 0 },
  });
  const machine = {
    ...resultsOf([row(undefined, 2), row('a', 1), row('b', 4), row(undefined, 1, 'softmax [32,1000]')]),
    work: { 'relu 1M': { flops: 1e6, bytes: 8e6 }, 'softmax [32,1000]': { flops: 1, bytes: 1 } },
  };
  // 8 MB take 0.8 ms at least.
  t.deepEqual(sharesOf(machine), [
    { machine: 'paper (gles)', case: 'relu 1M', variant: 'chosen', ofRoofline: 0.4, ofBest: 0.5 },
    { machine: 'paper (gles)', case: 'relu 1M', variant: 'a', ofRoofline: 0.8, ofBest: 1 },
    { machine: 'paper (gles)', case: 'relu 1M', variant: 'b', ofRoofline: 0.2, ofBest: 0.25 },
  ]);
  const { head, rows } = machinesTable([machine, resultsOf([])]);
  t.deepEqual(rows[0]!.slice(0, 5), ['paper (gles)', '100 GFLOP/s and 10.0 GB/s', '40 %', '50 %', '50 %']);
  t.deepEqual(rows[1]!.slice(2, 5), ['', '', ''], 'nothing is made of nothing');
  t.ok(rows.every((one) => one.length === head.length));
  t.equal(heatPlot([resultsOf([])]), undefined);
  const text = fillTables('<!-- table: machines -->\n<!-- end of table -->', () => undefined, [machine]);
  t.ok(text.includes('| paper (gles) | 100 GFLOP/s and 10.0 GB/s | 40 %'), 'in the README');
  t.end();
});
