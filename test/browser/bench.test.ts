// The bench in a headless Chromium, as people use it: what is measured is right and complete, results travel, and a kernel
// that is written there is compiled, held to float64 and measured beside the others.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'puppeteer-core';
import { build } from 'rolldown';
import test, { type Test } from 'tape';
import { resultsIn } from '../../app/page/bench/share.ts';
import { sharesOf } from '../../bench/shares.ts';
import { testPage, textOf, violations } from './page.ts';

/** A case of several variants, and one that has none. */
const VARIANTS = ['pointwise', 'patches', 'direct', 'rows', 'naive'];
const [CASE, ALONE] = ['MobileNetV2 expansion, 1x1 [1,24,56,56] to 144', 'GAP [1,512,7,7]'];
/** What a kernel of one's own begins with. */
const own = ['bench/templates/conv2d', 'kernels/threads']
  .map((name) => readFileSync(new URL(`../../${name}.wgsl`, import.meta.url), 'utf8'))
  .join('');
const query = new URLSearchParams([
  ['rounds', '2'],
  ['case', ALONE],
  ['case', CASE],
]);

test('the bench may send as little as the page', (t) => {
  const policy = (path: string) =>
    /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/.exec(
      readFileSync(new URL(`../../app/page/${path}`, import.meta.url), 'utf8'),
    )?.[1];
  t.ok(policy('index.html')?.includes("connect-src 'self' data:;"));
  t.equal(policy('bench/index.html'), policy('index.html'));
  t.end();
});

testPage('bench', {
  'it measures what is chosen, and the results travel': measures,
  'a kernel is written': writes,
  'other engines lie beside the page': compares,
});

/** Waits until the bench has nothing more to do, and gives what it says. */
async function said(page: Page, expected: RegExp): Promise<string> {
  await page.waitForFunction(
    (source) =>
      document.getElementById('measure')!.ariaBusy === 'false' &&
      new RegExp(source).test(document.getElementById('status')!.textContent!),
    {},
    expected.source,
  );
  return textOf(page, '#status');
}

/** Not by the mouse, which waits for a picture of the page: a software device draws none while it computes. */
const click = (page: Page, selector: string) => page.$eval(selector, (one) => (one as HTMLElement).click());

/** Rows of the first table, their cells. */
const rowsOf = (page: Page) =>
  page.$$eval('#tables section:first-child tbody tr', (rows) =>
    rows.map((row) => [...row.children].map((cell) => cell.textContent!)),
  );

async function measures(t: Test, page: Page, address: string): Promise<void> {
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  await page.goto(`${address}bench/?${query}`);
  await said(page, /Ready/);
  t.match(await textOf(page, '#adapter'), /SwiftShader.*computes on the processor/i);
  t.ok((await page.$$('#limits dd')).length > 20, 'limits are listed');

  await click(page, '#go');
  await click(page, '#cancel');
  t.match(await said(page, /cancelled/), /was cancelled/, 'it can be cancelled');
  await click(page, '#go');
  await said(page, /Measured 2 of 18 cases/);
  const rows = await rowsOf(page);
  t.deepEqual(
    rows.map(([name, engine]) => [name, engine]),
    [[ALONE, 'limelight'], [CASE, 'limelight'], ...VARIANTS.map((name) => ['', `limelight: ${name}`])],
    'every variant is measured',
  );
  t.ok(
    rows.every(([, , ms, , rounds]) => Number(ms) > 0 && rounds === '2'),
    'each in two rounds',
  );

  await click(page, '#export button:last-child');
  const hash = new URL(page.url()).hash;
  const results = resultsIn(hash)!;
  t.equal(results.measurements.length, rows.length, 'the link holds the results');
  t.equal(sharesOf(results).length, rows.length - 1, 'of which all but one are of a case with variants');
  t.ok(
    results.measurements.every(({ outcome }) => 'samples' in outcome && outcome.difference < 1e-5),
    'none is far from float64',
  );
  await page.waitForSelector('#plots svg');
  t.equal(
    (await page.$$('#plots svg .mark-symbol.role-mark path')).length,
    rows.length,
    'the roofline has a dot for each',
  );
  t.equal(
    (await page.$$('#plots svg .mark-rect.role-mark path')).length,
    rows.length - 1,
    'and the heat map a tile',
  );

  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(`${address}?empty`);
    await page.goto(`${address}bench/${hash}`);
    t.match(
      await said(page, /These results are of/),
      /SwiftShader.* \(browser\)/i,
      'who opens the link sees them',
    );
    t.deepEqual((await rowsOf(page)).length, rows.length);
    await click(page, '#open-editor');
    await page.waitForSelector('.cm-content');
    await page.waitForFunction(() => /fn main/.test(document.querySelector('.cm-content')!.textContent!));
    t.deepEqual(await violations(page), [], `axe finds nothing, ${scheme}`);
  }
  await page.setViewport({ width: 390, height: 844 });
  t.equal(
    await page.evaluate(() => document.documentElement.scrollWidth),
    390,
    'nothing is wider than a phone',
  );
}

async function writes(t: Test, page: Page, address: string): Promise<void> {
  await page.goto(`${address}bench/?${query}`);
  await said(page, /Ready/);
  await click(page, '#open-editor');
  await page.waitForSelector('#editor-case');
  await page.select('#editor-case', CASE);
  await page.waitForFunction(() => /A convolution/.test(document.querySelector('.cm-content')!.textContent!));
  /** Puts a text in the editor, as if pasted. */
  const write = async (text: string) => {
    await page.focus('.cm-content');
    await page.keyboard.down('Control');
    await page.keyboard.press('a');
    await page.keyboard.up('Control');
    await page.keyboard.sendCharacter(text);
  };
  await click(page, '#try');
  t.match(await said(page, /sizes\.$/), /^Right on all 5 sizes/, 'what it begins with is right');

  await write(`\n${own}`.replace('var sum = 0f', 'var sum = 0u'));
  await page.waitForSelector('.cm-lintRange-error, .cm-lintPoint-error');
  const wrong = await page.$eval(
    '.cm-line:has(.cm-lintRange-error, .cm-lintPoint-error)',
    (line) => line.textContent!,
  );
  t.match(wrong, /sum = fma\(x\[at\]/, 'an error stands at its line');

  await write(own.replace('var sum = 0f', 'var sum = 1e-3f'));
  await page.waitForFunction(() => !document.querySelector('.cm-lintRange-error, .cm-lintPoint-error'));
  await click(page, '#try');
  t.match(await said(page, /Wrong on/), /^Wrong on 5 of 5 sizes/, 'what is wrong is found');
  await click(page, '#measure-own');
  await said(page, /The fastest of/);
  const measured = async () => (await rowsOf(page)).filter(([, engine]) => engine!.includes('written'));
  t.match((await measured())[0]![2]!, /^its result is wrong: off by/, 'and is not timed');

  await write(own.replaceAll('COLUMNS = 64u', 'COLUMNS = 32u').replace('WORKGROUP = 64u', 'WORKGROUP = 32u'));
  await click(page, '#measure-own');
  await said(page, /The fastest of/);
  const rows = await measured();
  t.deepEqual(
    rows.map(([, engine]) => engine),
    ['limelight: written 1', 'limelight: written 2'],
    'versions are measured side by side',
  );
  t.ok(Number(rows[1]![2]) > 0, 'a right one is timed, in workgroups of its own');

  // A kernel of a variant, which stands in its place.
  const options = await page.$$eval('#editor-kernel option', (all) => all.map((one) => one.textContent!));
  await page.select('#editor-kernel', String(options.indexOf('direct: conv2dDirect')));
  t.match(await textOf(page, '#constants'), /const lines have the values [A-Z_]+ = \d+/);
  await click(page, '#try');
  t.match(await said(page, /sizes\.$/), /^Right on all \d sizes/, 'unchanged it is right');
}

/** Engines of global average pooling in JavaScript: a right one, one that is off, and one that does not start. */
const peer = `
import { inputsOf } from ${JSON.stringify(fileURLToPath(new URL('../../bench/problems.ts', import.meta.url)))};
const engine = (off) => ({
  adapter: 'JavaScript',
  version: '1.2.3',
  prepare: async (problem) => {
    const { data, shape } = inputsOf(problem).x;
    const plane = shape[2] * shape[3];
    const means = Array.from({ length: data.length / plane }, (_, i) =>
      data.slice(i * plane, (i + 1) * plane).reduce((a, b) => a + b) / plane + off);
    return { run: async () => new Promise((done) => setTimeout(done, 5, means)), dispose() {} };
  },
});
`;

async function compares(t: Test, page: Page, address: string, folder: string): Promise<void> {
  const beside = join(folder, 'peers');
  mkdirSync(beside);
  const engines = {
    right: 'engine(0)',
    off: 'engine(0.01)',
    broken: "Promise.reject(new Error('not today'))",
  };
  for (const [name, opens] of Object.entries(engines)) {
    const input = join(folder, `${name}-entry.js`);
    writeFileSync(input, `${peer}\nexport const open = async () => ${opens};`);
    await build({ input, platform: 'browser', output: { file: join(beside, `${name}.js`) } });
  }
  writeFileSync(join(beside, 'peers.json'), JSON.stringify(Object.keys(engines)));

  const alone = new URLSearchParams([
    ['rounds', '2'],
    ['case', ALONE],
  ]);
  await page.goto(`${address}bench/?${alone}`);
  await said(page, /Ready/);
  t.notOk(await page.$('input[name=peer]'), 'none are looked for unless the address says so');
  await page.goto(`${address}bench/?peers&${alone}`);
  await said(page, /Ready/);
  await click(page, '#go');
  await said(page, /Measured 1 of/);
  const rows = await rowsOf(page);
  t.deepEqual(
    rows.map(([, engine]) => engine),
    ['limelight', 'right', 'off', 'broken'],
  );
  t.deepEqual(
    rows.map(([, , ms]) => Number(ms) > 0),
    [true, true, false, false],
    'what is wrong is not timed, nor what does not start',
  );
  t.match(rows[2]!.join(' '), /wrong: off by/, 'the one is said to be off');
  t.match(rows[3]!.join(' '), /not today/, 'and why the other does not start');

  await click(page, '#export button:last-child');
  const { environment } = resultsIn(new URL(page.url()).hash)!;
  t.deepEqual(environment.engines.right, { version: '1.2.3', adapter: 'JavaScript' }, 'told in the results');
  t.ok(environment.limits!.maxBufferSize! > 0 && Array.isArray(environment.features), 'so are the limits');
  t.deepEqual(await violations(page), [], 'axe finds nothing');
}
