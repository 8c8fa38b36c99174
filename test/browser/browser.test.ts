// The library in a browser, unchanged: the package as npm would publish it, bundled by vite into a page, opened in a
// headless Chromium, must see what Node sees. Then the project's own page, as a person uses it.

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, ElementHandle, Page } from 'puppeteer-core';
import test, { type Test } from 'tape';
import { decodeImage, decodePng, encodePng } from '../../app/image/decode.ts';
import { heatPicture } from '../../app/image/heat.ts';
import * as limelight from '../../index.ts';
import { device } from '../device.ts';
import { relativeError } from '../reference/index.ts';
import { type Bundle, bundle, installPackage } from './bundle.ts';
import { findChromium, PATIENCE, withChromium } from './chromium.ts';
import { type Answer, explainAll } from './explain-all.ts';
import { withFolder } from './folder.ts';
import { withServer } from './serve.ts';

const here = (path: string) => new URL(path, import.meta.url);

declare global {
  /** What user/main.mjs answers. */
  var explain: (model: string, picture: string, methods: readonly string[]) => Promise<Answer>;
  var liveBytes: () => Promise<number>;
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
 * Serves a folder and opens an empty page for the length of `use`. What the page loads must not fail, nor ask anything
 * of another place than where it came from.
 */
async function withPage(
  t: Test,
  browser: Browser,
  folder: string,
  use: (page: Page, address: string) => Promise<void>,
): Promise<void> {
  await withServer(folder, async (origin) => {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
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
    await use(page, `${origin}/`);
    t.deepEqual(elsewhere, [], 'nothing is asked of another place');
    await page.close();
  });
}

/** What is tried in one browser, each with a folder of its own. */
const parts: Readonly<Record<string, (t: Test, browser: Browser, folder: string) => Promise<void>>> = {
  'the built package explains as Node does': packageExplains,
  'the page explains what is chosen, and draws as the command line does': pageExplains,
  'a page without WebGPU says what to do': pageWithoutWebGpu,
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

/** The project's own page, bundled from the sources. */
async function bundlePage(t: Test, folder: string): Promise<void> {
  const root = fileURLToPath(here('../../app/page/'));
  checkBundle(t, await bundle({ root, configFile: join(root, 'vite.config.ts') }, folder));
}

/** Waits until the page has nothing more to do, and gives what it says. */
async function said(page: Page, expected: RegExp): Promise<string> {
  await page.waitForFunction(
    (source) => {
      const idle = document.getElementById('result')!.ariaBusy === 'false';
      return idle && new RegExp(source).test(document.getElementById('status')!.textContent!);
    },
    {},
    expected.source,
  );
  return page.$eval('#status', (element) => element.textContent!);
}

/** What a canvas shows. */
async function shown(page: Page, selector: string): Promise<limelight.Pixels> {
  const url = await page.$eval(selector, (element) => (element as HTMLCanvasElement).toDataURL());
  return decodePng(Buffer.from(url.slice(url.indexOf(',') + 1), 'base64'));
}

/** A JPEG with halved chroma, which decoders upsample in more than one way. */
const jpegFile = Buffer.from(
  (
    JSON.parse(readFileSync(here('../app/references/pictures.json'), 'utf8')) as {
      cases: readonly { title: string; file: string }[];
    }
  ).cases.find(({ title }) => title === 'JPEG 4:2:0')!.file,
  'base64',
);

async function pageExplains(t: Test, browser: Browser, folder: string): Promise<void> {
  await bundlePage(t, folder);
  const file = readFileSync(here('../../models/images/scene-2.png'));
  const pixels = decodePng(file);
  const weights = readFileSync(limelight.catalogEntry('digit-scenes').weights!);
  const methods = ['grad-cam', 'grad-cam++'];
  const { explanations } = await explainAll(
    limelight,
    await device(),
    'digit-scenes',
    weights,
    pixels,
    methods,
  );

  /** The greatest difference, in one channel of one pixel, to what the command line would draw. */
  const difference = ({ width, height, rgb }: limelight.Pixels, { map }: Answer['explanations'][number]) => {
    const high = Math.max(...map);
    const data = Float32Array.from(map, (value) => Math.max(0, value) / high);
    const drawn = heatPicture({
      pixels,
      map: { width: 16, height: 16, data },
      minSide: width,
      maxSide: width,
    });
    t.deepEqual([drawn.width, drawn.height], [width, height], 'the canvas has the size of a drawn picture');
    return drawn.rgb.reduce((most, value, i) => Math.max(most, Math.abs(value - rgb[i]!)), 0);
  };

  await withPage(t, browser, folder, async (page, address) => {
    await page.goto(address);
    const { className } = explanations[0]!;
    const first = new RegExp(
      `^digit-scenes, class ${className}: [\\d.]+ %, logit [\\d.]+\\. Grad-CAM took \\d+ ms`,
    );
    t.match(await said(page, first), first, 'the predicted class is explained at once');
    t.match(
      await page.$eval('#adapter', (element) => element.textContent!),
      /^Device: \w/,
      'the adapter is named',
    );
    t.ok(difference(await shown(page, '#overlay'), explanations[0]!) <= 1, 'the overlay is that of Grad-CAM');
    t.ok(difference(await shown(page, '#picture'), explanations[0]!) > 50, 'the picture is not');

    await page.focus('input[value="grad-cam"]');
    await page.keyboard.press('ArrowDown');
    await said(page, /Grad-CAM\+\+ took/);
    t.ok(difference(await shown(page, '#overlay'), explanations[1]!) <= 1, 'an arrow key chooses Grad-CAM++');
    t.equal(
      await page.evaluate(() => (document.activeElement as HTMLInputElement).value),
      'grad-cam++',
      'and the keyboard stays where it is',
    );

    const second = await page.$eval('#classes label:nth-of-type(2) span', (element) => element.textContent!);
    await page.click('#classes label:nth-of-type(2)');
    await said(page, new RegExp(`class ${second}: .* took`));
    await page.select('#layer', 'stage1');
    await said(page, / took/);
    t.equal(
      (await page.$eval('#overlay-caption', (element) => element.textContent!)).split('.')[0],
      `Grad-CAM++ of class ${second} at stage1, 32 × 32`,
      'class and layer are as chosen',
    );

    await page.select('#network', 'digit-dense');
    await said(page, /^digit-dense, class .* took/);
    await page.click('input[value="cam"]');
    t.match(
      await said(page, /CAM needs/),
      /"pool2" \(maxPool\) is not linear/,
      'CAM says why it does not apply',
    );
    t.ok(await page.$eval('#explanation', (element) => (element as HTMLElement).hidden), 'no old map stays');

    await page.click('input[value="grad-cam"]');
    await page.select('#network', 'digit-vit');
    await said(page, /^digit-vit, class .* took/);
    t.equal(
      await page.$eval('#layer', (element) => (element as HTMLSelectElement).value),
      limelight.catalogEntry('digit-vit').targetLayer,
      'the layer that is chosen is the one that is explained, tokens too',
    );

    await page.select('#network', 'digit-scenes');
    await said(page, first);
    const input = (await page.$('#file')) as ElementHandle<HTMLInputElement>;
    await input.uploadFile(fileURLToPath(here('../../models/images/scene-1.png')));
    await said(page, /^digit-scenes, class [25]: .*Grad-CAM took/);
    const photo = join(folder, 'photo.jpg');
    writeFileSync(photo, jpegFile);
    await input.uploadFile(photo);
    await page.waitForFunction(() =>
      /37 × 29/.test(document.getElementById('picture-caption')!.textContent!),
    );
    const decoded = await decodeImage(jpegFile, 'photo.jpg');
    const picture = await shown(page, '#picture');
    const zoom = picture.width / decoded.width;
    const unlike = decoded.rgb.findIndex((value, i) => {
      const [x, y] = [Math.floor(i / 3) % decoded.width, Math.floor(i / 3 / decoded.width)];
      return value !== picture.rgb[3 * (y * zoom * picture.width + x * zoom) + (i % 3)];
    });
    t.equal(unlike, -1, 'the page decodes a JPEG as the command line does');
    const tiny = join(folder, 'tiny.png');
    writeFileSync(tiny, encodePng({ width: 2, height: 1, rgb: new Uint8Array(6) }));
    await input.uploadFile(tiny);
    await said(page, /^digit-scenes cannot take a picture of 2 × 1 pixels: .*; choose a larger one$/);
    const text = join(folder, 'notes.png');
    writeFileSync(text, 'not a picture');
    await input.uploadFile(text);
    await said(page, /^notes\.png: this browser cannot read it as a picture; choose a PNG or JPEG file$/);
  });
}

async function pageWithoutWebGpu(t: Test, browser: Browser, folder: string): Promise<void> {
  await bundlePage(t, folder);
  await withPage(t, browser, folder, async (page, address) => {
    await page.evaluateOnNewDocument(() => Object.defineProperty(navigator, 'gpu', { value: undefined }));
    await page.goto(address);
    await page.waitForSelector('#failure:not([hidden])');
    const failure = await page.$eval('#failure', (element) => element.textContent!);
    t.match(
      failure,
      /navigator\.gpu is missing[\s\S]*To mend it: open the page over https or from localhost/,
    );
    t.ok(await page.$eval('main', (element) => element.hidden), 'and offers no choices');
  });
}
