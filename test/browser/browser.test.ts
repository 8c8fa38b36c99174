// The library in a browser, unchanged: the package as npm would publish it, bundled by vite into a page, opened in a
// headless Chromium, must see what Node sees.

import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'puppeteer-core';
import test, { type Test } from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import * as limelight from '../../index.ts';
import { device } from '../device.ts';
import { relativeError } from '../reference/index.ts';
import { bundle, installPackage } from './bundle.ts';
import { findChromium, withChromium } from './chromium.ts';
import { type Answer, explainAll } from './explain-all.ts';
import { withFolder } from './folder.ts';
import { checkBundle, withPage } from './page.ts';

const here = (path: string) => new URL(path, import.meta.url);

declare global {
  /** What user/main.mjs answers. */
  var explain: (model: string, picture: string, methods: readonly string[]) => Promise<Answer>;
  var liveBytes: () => Promise<number>;
}

/** What is tried in one browser, each with a folder of its own. */
const parts: Readonly<Record<string, (t: Test, browser: Browser, folder: string) => Promise<void>>> = {
  'the built package explains as Node does': packageExplains,
};

test('browser', async (t) => {
  const chromium = findChromium();
  if (!chromium) return t.skip('there is no Chromium; set CHROMIUM to its path');
  await withChromium(chromium, async (browser) => {
    for (const [title, part] of Object.entries(parts)) {
      t.comment(title);
      await withFolder((folder) => part(t, browser, folder)).catch((error) => t.error(error, title));
    }
  });
});

async function packageExplains(t: Test, browser: Browser, folder: string): Promise<void> {
  installPackage(folder);
  cpSync(here('./user/'), folder, { recursive: true });
  cpSync(here('./explain-all.ts'), join(folder, 'explain-all.ts'));
  const built = await bundle({ root: folder, configFile: false }, join(folder, 'dist'));
  checkBundle(t, built);
  const picture = here('../../models/images/scene-2.png');
  cpSync(picture, join(built.folder, 'scene-2.png'));
  const pixels = decodePng(readFileSync(picture));

  const cases = [
    ['digit-scenes', limelight.defaultMethods],
    ['digit-dense', limelight.defaultMethods.filter((method) => method !== 'cam')],
  ] as const;
  await withPage(t, browser, built.folder, async (page, address) => {
    await page.goto(address);
    for (const [model, methods] of cases) {
      const found = await page.evaluate((...asked) => explain(...asked), model, '/scene-2.png', methods);
      const weights = readFileSync(limelight.catalogEntry(model).weights!);
      const expected = await explainAll(limelight, await device(), model, weights, pixels, methods);
      t.match(found.adapter, /^browser: /, found.adapter);
      compare(t, model, found, expected);
    }
    t.equal(await page.evaluate(() => liveBytes()), 0, 'no GPU memory is left taken');
  });
}

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
    agree(
      `${wanted.method}: score`,
      [actual.logit, actual.probability!],
      [wanted.logit, wanted.probability!],
    );
    for (const part of ['map', 'upsampled', 'weights'] as const) {
      agree(`${wanted.method}: ${part}`, actual[part], wanted[part]);
    }
  }
}
