// No character from a file or a name steers the terminal, a table, or a picture's text.

import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { evaluationHtml } from '../../app/evaluation/html.node.ts';
import type { Header } from '../../app/evaluation/record.ts';
import type { MethodSummary, Summary } from '../../app/evaluation/summary.ts';
import { renderOverlay } from '../../app/image/overlay.ts';
import { html } from '../../bench/report/html.ts';
import { tablesOf } from '../../bench/report/tables.ts';
import type { Results } from '../../bench/results.ts';
import { visible, visibleJson, visibleLines, visibleMarkup } from '../../engine/visible.ts';
import { resultsOf } from '../bench/results.ts';
import { functional, tfjsFiles, weightsOf } from '../models/keras-fixtures.ts';
import { inFolder, limelight, scene } from './limelight.ts';

/** Clears the screen, names the window, goes back a line, ends in C1's introducer and turns the line round. */
const hostile = '\x1b[2J\x1b]0;owned\x07\r\b\x7f\x9b31m\u202e\u2066';
/** What may stand in what is said, besides what can be seen: ends of lines. */
const STEERS = /[^\P{Cc}\n]|[\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

test('visible texts', (t) => {
  for (let code = 0; code < 0x3000; code++) {
    const text = `a${String.fromCharCode(code)}b`;
    if (STEERS.test(text) || code === 10) t.equal(visible(text), 'a\ufffdb', `U+${code.toString(16)}`);
    else if (visible(text) !== text) t.fail(`U+${code.toString(16)} can be seen`);
    if (JSON.parse(visibleJson(text)) !== text || STEERS.test(visibleJson(text))) t.fail('JSON');
  }
  t.equal(visibleLines('a\nb\rc'), 'a\nb\ufffdc');
  t.equal(visible('Hündin 犬 🐕 e\u0301'), 'Hündin 犬 🐕 e\u0301');
  t.end();
});

test('what files hold is said without what steers', (t) =>
  inFolder((folder) => {
    const at = (name: string) => join(folder, name);
    writeFileSync(at('labels.json'), JSON.stringify(Array.from({ length: 10 }, (_, i) => `${hostile}${i}`)));
    writeFileSync(at('many.json'), JSON.stringify([hostile]));
    copyFileSync(scene, at('a\x1b[2Jb.png'));
    writeFileSync(at('c\x1b[2Jd.png'), 'no picture');
    const layers = [
      { class: 'Conv2D', name: `${hostile}conv`, config: { filters: 2, kernel_size: [3, 3] } },
      { class: 'GlobalAveragePooling2D', name: `gap${hostile}` },
      { class: 'Dense', name: 'dense', config: { units: 5, activation: 'softmax' } },
    ];
    const weights = weightsOf({
      [`${hostile}conv/kernel`]: [3, 3, 3, 2],
      [`${hostile}conv/bias`]: [2],
      'dense/kernel': [2, 5],
      'dense/bias': [5],
    });
    const { root, shard } = tfjsFiles(functional([6, 6, 3], layers), weights);
    writeFileSync(at('model.json'), JSON.stringify(root));
    writeFileSync(at('group1-shard1of1.bin'), shard);
    const labels = ['--labels', at('labels.json'), '--out', at('out')];
    const commands: readonly (readonly string[])[] = [
      ['explain', scene, '--method', 'grad-cam', ...labels],
      ['explain', at('a\x1b[2Jb.png'), '--method', 'grad-cam', '--json', ...labels],
      ['compare', scene, ...labels],
      ['inspect', at('model.json')],
      ['inspect', at('model.json'), '--dot'],
      ['explain', scene, '--model', at('model.json'), '--layer', 'none'],
      ['explain', scene, '--labels', at('many.json')],
      ['explain', at('c\x1b[2Jd.png')],
      ['explain', at('none\x1b[2J.png')],
      ['explain', scene, '--class', hostile],
      ['explain', scene, `--${hostile}`],
      ['inspect', hostile],
    ];
    for (const command of commands) {
      const { stdout, stderr } = limelight(...command);
      t.notOk(STEERS.test(stdout + stderr), command.map(visible).join(' ').replaceAll(folder, ''));
      t.ok(stdout + stderr !== '', 'it says something');
    }
    const [line] = limelight(...commands[1]!).stdout.split('\n');
    t.ok(JSON.parse(line!).className.startsWith(hostile), 'JSON gives names as they are');
  }));

test('reports hold texts as texts', (t) => {
  const tag = `<script>alert("1")</script><img src='x' onerror=alert(1)>&${hostile}`;
  const markup = visibleMarkup(tag);
  t.notOk(/[<>"']/.test(markup) || STEERS.test(markup), markup);
  t.equal(visibleMarkup('a\nb & c \ud800\ufffe'), 'a\nb &amp; c \ufffd\ufffd');
  const methods: readonly MethodSummary[] = [{ method: tag, estimates: [], worst: [] }];
  const summary: Summary = { methods, pictures: 1, maps: 1, damaged: [{ name: tag, error: tag }] };
  const bytes = Buffer.from([0, 255]).toString('base64');
  const worst = {
    name: tag,
    className: tag,
    value: tag,
    map: { width: 2, height: 1, bytes },
    pixels: undefined,
  };
  const settings = { model: tag, data: tag, methods: [tag], metrics: [tag] };
  const report = evaluationHtml(
    { settings, device: tag } as unknown as Header,
    summary,
    new Map([[tag, [worst]]]),
  );
  const failed = { case: tag, engine: 'limelight', outcome: { failed: tag } } as const;
  const results = { ...resultsOf([failed]), suite: tag };
  const benchReport = html(results as unknown as Results, tablesOf(results as unknown as Results), [
    { title: tag, caption: tag, svg: '' },
  ]);
  for (const page of [report, benchReport]) {
    t.ok(page.includes('&lt;script&gt;'), 'it is shown');
    t.notOk(/<script|<img src='x'/.test(page) || STEERS.test(page));
  }
  t.end();
});

test('a picture takes any text', (t) => {
  const pixels = { width: 4, height: 4, rgb: new Uint8Array(48) };
  const map = { width: 4, height: 4, data: new Float32Array(16) };
  const png = renderOverlay({
    map,
    low: 0,
    high: 1,
    pixels,
    title: hostile,
    lines: [hostile],
    signed: false,
  });
  t.ok(png.length > 100);
  t.end();
});

test('only two files write to the terminal', (t) => {
  const folder = new URL('../../app/cli/', import.meta.url);
  const writers = readdirSync(folder).filter((name) =>
    /process\.std(out|err)\.write|console\./.test(readFileSync(new URL(name, folder), 'utf8')),
  );
  t.deepEqual(writers, ['main.ts', 'progress.ts']);
  t.end();
});
