// What tests of pages share: what a bundle must be, a page that is served and watched, and the project's page.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import test, { type Test } from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import type { Pixels } from '../../models/index.ts';
import { type Bundle, bundle } from './bundle.ts';
import { findChromium, PATIENCE, withChromium } from './chromium.ts';
import { withFolder } from './folder.ts';
import { withServer } from './serve.ts';

export function checkBundle(t: Test, { modules, outside, warnings }: Bundle): void {
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
export async function withPage(
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

/** What is tried in a page of its own: its address, and a folder with the page's files, for more. */
export type Use = (t: Test, page: Page, address: string, folder: string) => Promise<void>;

/** Builds the project's page and tries parts of it in a browser, each in a page of its own. */
export function testPage(
  title: string,
  parts: Readonly<Record<string, Use>>,
  flags: readonly string[] = [],
): void {
  test(title, async (t) => {
    const chromium = findChromium();
    if (!chromium) return t.skip('there is no Chromium; set CHROMIUM to its path');
    await withFolder(async (folder) => {
      const root = fileURLToPath(new URL('../../app/page/', import.meta.url));
      checkBundle(t, await bundle({ root, configFile: join(root, 'vite.config.ts') }, folder));
      const use = async (browser: Browser) => {
        for (const [part, tried] of Object.entries(parts)) {
          t.comment(part);
          await withPage(t, browser, folder, (page, address) => tried(t, page, address, folder)).catch(
            (error) => t.error(error, part),
          );
        }
      };
      await withChromium(chromium, use, flags);
    });
  });
}

export const textOf = (page: Page, selector: string): Promise<string> =>
  page.$eval(selector, (element) => element.textContent!);

/** Waits until the page has nothing more to do, and gives what it says. */
export async function said(page: Page, expected: RegExp): Promise<string> {
  await page.waitForFunction(
    (source) => {
      const idle = document.getElementById('result')!.ariaBusy === 'false';
      return idle && new RegExp(source).test(document.getElementById('status')!.textContent!);
    },
    {},
    expected.source,
  );
  return textOf(page, '#status');
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds wrong, with where. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target}`));
  });
}

/** What the canvas of a figure shows; the first is the picture. */
export async function shown(page: Page, figure: number): Promise<Pixels> {
  const url = await page.$$eval(
    '#maps canvas',
    (canvases, i) => (canvases[i] as HTMLCanvasElement).toDataURL(),
    figure,
  );
  return decodePng(Buffer.from(url.slice(url.indexOf(',') + 1), 'base64'));
}
