// Takes the pictures of the page that READMEs show, and that it shows itself where there is no WebGPU:
//   npm run page:pictures

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'puppeteer-core';
import { bundle } from './bundle.ts';
import { findChromium, PATIENCE, withChromium } from './chromium.ts';
import { withFolder } from './folder.ts';
import { said } from './page.ts';
import { withServer } from './serve.ts';

const MOST_BYTES = 200_000;
const STEPS_OF_TRAINING = 300;
const root = fileURLToPath(new URL('../../app/page/', import.meta.url));

/** Where a picture goes, and the part of the page that is taken; the whole window where none is named. */
interface Shot {
  readonly file: string;
  readonly query?: string;
  readonly part?: string;
  /** What must have been done before. */
  readonly before?: (page: Page) => Promise<unknown>;
}

const press = (page: Page, selector: string) =>
  page.$$eval(selector, (all) => {
    for (const one of all) (one as HTMLElement).click();
  });

const lesson = (name: string, before: Shot['before'] = () => Promise.resolve()): Shot => ({
  file: `screenshots/lesson-${name}.png`,
  part: `article:has(#stage-${name})`,
  before: async (page) => {
    await page.evaluate((id) => document.getElementById(id)!.scrollIntoView(), `stage-${name}`);
    await page.waitForSelector(`#stage-${name} > *`);
    await before(page);
    await page.waitForSelector(`#stage-${name}[aria-busy="false"]`);
  },
});

const shots: readonly Shot[] = [
  {
    file: 'screenshot.png',
    query: '?methods=grad-cam,hires-cam&classes=3',
    before: (page) => said(page, /took/),
  },
  {
    file: 'screenshots/terms.png',
    part: '#terms',
    before: (page) => page.waitForSelector('#terms-body[aria-busy="false"] .channel'),
  },
  lesson('theorem'),
  lesson('dense'),
  lesson('tail'),
  lesson('softmax'),
  lesson('transformer', (page) => press(page, '#stage-transformer input[type="checkbox"]')),
  lesson('lie'),
  lesson('drag'),
  lesson('train', async (page) => {
    await press(page, '#stage-train button:first-child');
    await page.waitForFunction(
      (least) =>
        Number(/of (\d+) steps/.exec(document.getElementById('stage-train')!.textContent!)?.[1]) >= least,
      {},
      STEPS_OF_TRAINING,
    );
    await press(page, '#stage-train button:first-child');
  }),
];

const chromium = findChromium();
if (!chromium) throw new Error('there is no Chromium; set CHROMIUM to its path');
await withFolder(async (folder) => {
  await bundle({ root, configFile: join(root, 'vite.config.ts') }, folder);
  await withServer(folder, (origin) =>
    withChromium(chromium, async (browser) => {
      const page = await browser.newPage();
      page.setDefaultTimeout(PATIENCE);
      await page.setViewport({ width: 1180, height: 760 });
      for (const { file, query = '', part, before } of shots) {
        await page.goto(`${origin}/${query}`);
        // Lessons below begin as they come near.
        await page.addStyleTag({ content: '#activity { display: none }' });
        await before?.(page);
        const element = part === undefined ? page : (await page.$(part))!;
        const picture = await element.screenshot();
        console.log(`${file}: ${picture.length} bytes`);
        if (picture.length > MOST_BYTES) throw new Error(`${file} has more than ${MOST_BYTES} bytes`);
        writeFileSync(join(root, file), picture);
      }
    }),
  );
});
