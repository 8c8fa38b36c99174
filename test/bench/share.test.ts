// Results that travel: as a link and as a file, of which nothing is believed.

import test from 'tape';
import { fileNameOf, fragmentOf, resultsIn, resultsOf } from '../../app/page/bench/share.ts';
import { readResults } from '../../bench/read-results.ts';
import type { Results } from '../../bench/results.ts';
import { resultsOf as madeUp } from './results.ts';

const results = madeUp([
  {
    case: 'a',
    engine: 'limelight',
    outcome: { first: 1.5, samples: [1.23456789, 2], repeats: 4, difference: 1e-7 },
  },
  { case: 'a', engine: 'limelight', variant: 'naïve', outcome: { failed: 'broke' } },
]);

test('a link holds results', (t) => {
  const fragment = fragmentOf(results);
  t.match(fragment, /^#results=[\w-]+$/, 'in letters that every address may have');
  const found = resultsIn(fragment)!;
  t.deepEqual(found.measurements[0]!.outcome, {
    ...{ first: 1.5, samples: [1.235, 2], repeats: 4, difference: 1e-7 },
  });
  t.deepEqual(
    { ...found, measurements: [] },
    { ...results, measurements: [] },
    'times to four digits, all else as it was',
  );
  t.equal(found.measurements[1]!.variant, 'naïve');
  t.equal(resultsIn('#write'), undefined, 'another fragment is none');
  const many = Array.from({ length: 100 }, (_, i) => ({
    ...results.measurements[0]!,
    variant: `variant ${i}`,
    outcome: {
      first: i,
      samples: Array.from({ length: 15 }, (_, j) => Math.sin(i * 15 + j) + 2),
      repeats: 9,
      difference: 0,
    },
  }));
  t.ok(fragmentOf(madeUp(many)).length < 16_000, 'a whole run fits in a link');
  t.end();
});

test('damaged links and strange files are refused, and say where', async (t) => {
  const fragment = fragmentOf(results);
  t.throws(() => resultsIn(fragment.slice(0, -9)), /FormatError.*the link is damaged/);
  t.throws(() => resultsIn('#results=%%%'), /the link is damaged/);
  t.throws(() => resultsIn(`#results=${'A'.repeat(70_000)}`), /longer than 65536/);
  const wrong: [change: (raw: Record<string, unknown>) => void, message: RegExp][] = [
    [(raw) => delete raw.peaks, /: x\.peaks is missing; expected an object$/],
    [(raw) => (raw.measurements = [{ case: 1 }]), /: x\.measurements\[0\]\.case is 1; expected a text$/],
    [(raw) => (raw.peaks = { flops: 0, bandwidth: 1 }), /: x\.peaks\.flops is 0; expected a number above 0$/],
    [
      (raw) => (raw.work = { a: { flops: -1, bytes: 2 } }),
      /x\.work\.a\.flops is -1; expected a number of at least 0$/,
    ],
    [
      (raw) =>
        (raw.measurements = [
          { case: 'a', engine: 'b', outcome: { first: 1, samples: [], repeats: 1, difference: 0 } },
        ]),
      /samples is \[\]; expected a list of at least 1$/,
    ],
  ];
  for (const [change, message] of wrong) {
    const raw = JSON.parse(JSON.stringify(results)) as Record<string, unknown>;
    change(raw);
    t.throws(() => readResults(raw, 'x'), message);
  }
  const file = (text: string) => new File([text], 'mine.json');
  t.deepEqual(await resultsOf(file(JSON.stringify(results))), results as Results, 'a file is read as it is');
  await resultsOf(file('[1]')).then(
    () => t.fail('a list was taken'),
    (error: Error) => t.match(error.message, /^mine\.json is \[1\], not a JSON object/),
  );
});

test('a file is called after its adapter', (t) => {
  const of = (adapter: string) =>
    fileNameOf({ ...results, suite: 'kernels', environment: { ...results.environment, adapter } });
  t.equal(of('nvidia ada-lovelace (browser)'), 'bench-kernels-nvidia-ada-lovelace-browser.json');
  t.equal(of('../../x'), 'bench-kernels-x.json');
  t.end();
});
