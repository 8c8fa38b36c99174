// The library in a browser, unchanged: the package as npm would publish it, bundled by vite into a page, opened in a
// headless Chromium, must see what Node sees.

import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import test, { type Test } from 'tape';
import { decodeImage } from '../../app/image/decode.ts';
import * as limelight from '../../index.ts';
import { device } from '../device.ts';
import { relativeError } from '../reference/index.ts';
import { type Bundle, bundle, installPackage } from './bundle.ts';
import { type Chromium, findChromium, withChromium } from './chromium.ts';
import { type Answer, explainAll } from './explain-all.ts';
import { withServer } from './serve.ts';

const here = (path: string) => new URL(path, import.meta.url);

declare global {
  /** What user/main.mjs answers. */
  var explain: (model: string, picture: string, methods: readonly string[]) => Promise<Answer>;
  var liveBytes: () => Promise<number>;
}

function temporary(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function checkBundle(t: Test, { modules, outside, warnings }: Bundle): void {
  const strangers = modules.filter((id) =>
    /(?:^|[\\/:])node:|vite-browser-external|[\\/]webgpu[\\/]/.test(id),
  );
  t.deepEqual(strangers, [], 'no built-in of Node, and not the package webgpu');
  t.ok(
    modules.some((id) => id.includes('platform/browser')),
    'the platform is that of the browser',
  );
  t.notOk(
    modules.some((id) => id.includes('platform/node')),
    'and not that of Node',
  );
  t.deepEqual(outside, [], 'all is in the bundle');
  t.deepEqual(warnings, [], 'the bundler has no complaint');
}

/**
 * Serves a folder, opens its page in Chromium for the length of `use`, and closes all of it. The page must not fail,
 * nor ask anything of another place than its own.
 */
async function withPage(
  t: Test,
  chromium: Chromium,
  folder: string,
  use: (page: Page) => Promise<void>,
): Promise<void> {
  await withServer(folder, (origin) =>
    withChromium(chromium, async (browser) => {
      const page = await browser.newPage();
      const elsewhere: string[] = [];
      page.on('request', (request) => {
        if (!/^(?:data|blob):/.test(request.url()) && !request.url().startsWith(`${origin}/`)) {
          elsewhere.push(request.url());
        }
      });
      page.on('pageerror', (error) => t.fail(`the page failed: ${String(error)}`));
      page.on('console', (message) => {
        if (message.type() === 'error') t.fail(`the page complains: ${message.text()}`);
      });
      await page.goto(`${origin}/`);
      await use(page);
      t.deepEqual(elsewhere, [], 'nothing is asked of another place');
    }),
  );
}

test('browser: the built package explains as Node does', async (t) => {
  const chromium = findChromium();
  if (!chromium) return t.skip('there is no Chromium; set CHROMIUM to its path');
  const project = temporary(t);
  installPackage(project);
  cpSync(here('./user/'), project, { recursive: true });
  cpSync(here('./explain-all.ts'), join(project, 'explain-all.ts'));
  const built = await bundle({ root: project, configFile: false }, join(project, 'dist'));
  checkBundle(t, built);
  const picture = here('../../models/images/scene-2.png');
  cpSync(picture, join(built.folder, 'scene-2.png'));
  const pixels = decodeImage(readFileSync(picture), 'scene-2.png');

  const cases = [
    ['digit-scenes', limelight.defaultMethods],
    ['digit-dense', limelight.defaultMethods.filter((method) => method !== 'cam')],
  ] as const;
  await withPage(t, chromium, built.folder, async (page) => {
    for (const [model, methods] of cases) {
      const found = await page.evaluate((...asked) => explain(...asked), model, '/scene-2.png', methods);
      const weights = readFileSync(limelight.catalogEntry(model).weights!);
      const expected = await explainAll(limelight, await device(), model, weights, pixels, methods);
      t.match(found.adapter, /^browser: /, found.adapter);
      compare(t, model, found, expected);
    }
    t.equal(await page.evaluate(() => liveBytes()), 0, 'no GPU memory is left taken');
  });
});

/**
 * The same kernels add in the same order on every adapter; what they may do differently is fuse a product with a sum,
 * and round exponentials. So numbers agree to a few roundings of f32, relative to the largest of them.
 */
const TOLERANCE = 1e-5;

function compare(t: Test, model: string, found: Answer, expected: Answer): void {
  const agree = (what: string, actual: readonly number[], wanted: readonly number[]) => {
    const error = relativeError(actual, wanted);
    t.ok(
      wanted.some((value) => value !== 0) && error < TOLERANCE,
      `${model}: ${what} (${error.toExponential(0)})`,
    );
  };
  agree('logits', found.logits, expected.logits);
  t.deepEqual(
    found.explanations.map(({ method, className }) => [method, className]),
    expected.explanations.map(({ method, className }) => [method, className]),
    `${model}: methods and class`,
  );
  for (const [i, wanted] of expected.explanations.entries()) {
    const actual = found.explanations[i]!;
    agree(`${wanted.method}: score`, [actual.logit, actual.probability], [wanted.logit, wanted.probability]);
    for (const part of ['map', 'upsampled', 'weights'] as const) {
      agree(`${wanted.method}: ${part}`, actual[part], wanted[part]);
    }
  }
}
