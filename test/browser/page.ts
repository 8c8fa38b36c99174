// What tests of pages share: what a bundle must be, and a page that is served and watched.

import type { Browser, Page } from 'puppeteer-core';
import type { Test } from 'tape';
import type { Bundle } from './bundle.ts';
import { PATIENCE } from './chromium.ts';
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
