// What befalls a page: no network, a reload in the middle, a tab that nobody sees, more clicks than can be followed, pictures
// and networks as large as they get. It says what happened and goes on.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import type { ElementHandle, Page } from 'puppeteer-core';
import type { Test } from 'tape';
import { encodePng } from '../../app/image/decode.ts';
import { type ModelSpec, modelBytes } from '../models/onnx-file.ts';
import { PATIENCE } from './chromium.ts';
import { said, testPage } from './page.ts';
import { withServer } from './serve.ts';

testPage('what befalls the page', {
  'it works without a network': worksOffline,
  'it follows the last of 200 changes': followsTheLast,
  'a reload in the middle and a hidden tab': comesBack,
  'large pictures': largePictures,
  'a large network': largeNetwork,
});

async function worksOffline(t: Test, first: Page, _: string, folder: string): Promise<void> {
  const page = await first.browser().newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', (error) => t.fail(`the page failed: ${String(error)}`));
  let address = '';
  await withServer(folder, async (origin) => {
    address = `${origin}/`;
    await page.goto(address);
    await page.waitForFunction(() =>
      /without a network/.test(document.getElementById('offline')!.textContent!),
    );
  });
  const answers = await fetch(address).catch(() => undefined);
  t.equal(answers, undefined, 'the server is gone');
  await page.goto(`${address}?network=digit-dense&picture=scene-1`);
  await said(page, /^digit-dense at .*\nGrad-CAM of class \d took/);
  await page.waitForSelector('.katex');
  t.pass('the page opens, with a network that it had not used');
  await page.goto(`${address}bench/?rounds=2`);
  await page.waitForFunction(() => document.getElementById('status')?.textContent === 'Ready.');
  t.pass('and so does the bench');
  await page.close();
}

async function followsTheLast(t: Test, page: Page, address: string): Promise<void> {
  await page.goto(address);
  await said(page, /took/);
  await page.evaluate(() => {
    const examples = [...document.querySelectorAll<HTMLElement>('#examples button')];
    const networks = document.getElementById('network') as HTMLSelectElement;
    for (let i = 0; i < 200; i++) {
      examples[i % 3]!.click();
      networks.value = i % 2 === 0 ? 'digit-scenes' : 'digit-dense';
      networks.dispatchEvent(new Event('change', { bubbles: true }));
    }
    examples[0]!.click();
  });
  await said(page, /^digit-dense at .*\nGrad-CAM of class \d took/);
  t.match(page.url(), /\?picture=scene-1&network=digit-dense$/);
  const waiting = await page.evaluate(() => document.getElementById('activity')!.className);
  t.equal(waiting, '', 'and has nothing more to do');
}

async function comesBack(t: Test, page: Page, address: string): Promise<void> {
  const slow = `${address}?methods=token-occlusion&layers=stage1`;
  await page.goto(slow);
  await page.waitForSelector('#activity.shown');
  await page.goto(`${address}?network=digit-dense`);
  await said(page, /^digit-dense at .*\nGrad-CAM of class \d took/);
  t.pass('a page that is left in the middle of a task can be loaded again');
  const other = await page.browser().newPage();
  await page.select('#network', 'digit-scenes');
  // Not by `said`, which looks whenever a picture of the page is drawn.
  await page.waitForFunction(
    () =>
      /^digit-scenes at .*\nGrad-CAM of class \d took/.test(document.getElementById('status')!.textContent!),
    { polling: 200 },
  );
  t.equal(
    await page.evaluate(() => document.visibilityState),
    'hidden',
    'and it works on behind another tab',
  );
  await other.close();
}

/** A white picture of one bit a pixel: large, and quickly written. */
function whitePng(width: number, height: number): Buffer {
  const png = encodePng({ width: 1, height: 1, rgb: new Uint8Array(3) });
  const row = Buffer.alloc(1 + Math.ceil(width / 8), 255);
  row[0] = 0;
  const chunk = (kind: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    checksum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, checksum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 1;
  return Buffer.concat([
    png.subarray(0, 8),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(Array.from({ length: height }, () => row)))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function crc32(bytes: Buffer): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ -1) >>> 0;
}

async function upload(page: Page, ...files: string[]): Promise<void> {
  await ((await page.$('#file')) as ElementHandle<HTMLInputElement>).uploadFile(...files);
}

async function largePictures(t: Test, page: Page, address: string, folder: string): Promise<void> {
  const write = (name: string, width: number, height: number) => {
    writeFileSync(join(folder, name), whitePng(width, height));
    return join(folder, name);
  };
  await page.goto(`${address}?network=digit-vit`);
  await said(page, /took/);
  await upload(page, write('64.png', 8000, 8000));
  await page.waitForFunction(() => /Running/.test(document.getElementById('status')!.textContent!));
  await said(page, /^digit-vit at .*\nGrad-CAM of class \d took/);
  t.pass('64 megapixels are scaled to what the network takes');
  await page.select('#network', 'digit-scenes');
  t.match(
    await said(page, /memory/),
    /would exceed the memory budget .* here: choose a smaller picture/,
    'a network that takes any size says that it is too large',
  );
  await upload(page, write('65.png', 8000, 8001));
  await said(page, /^65\.png: the picture is 8000 x 8001; at most 64 megapixels are supported$/);
  await page.click('[data-example="scene-2"]');
  await said(page, /^digit-scenes at .*\nGrad-CAM of class \d took/);
  t.pass('and goes on with another');
}

async function largeNetwork(t: Test, page: Page, address: string, folder: string): Promise<void> {
  await page.goto(address);
  await said(page, /took/);
  const [channels, classes] = [16, 200];
  const size = channels * 64 * 64;
  const spec: ModelSpec = {
    inputs: [{ name: 'x', dims: [1, 3, 64, 64] }],
    outputs: ['y'],
    nodes: [
      { op: 'Conv', name: 'c', inputs: ['x', 'w'], outputs: ['c'] },
      { op: 'Relu', name: 'r', inputs: ['c'], outputs: ['r'] },
      { op: 'Flatten', inputs: ['r'], outputs: ['f'] },
      { op: 'Gemm', inputs: ['f', 'd'], outputs: ['y'] },
    ],
    initializers: [
      {
        name: 'w',
        dims: [channels, 3, 1, 1],
        data: Array.from({ length: 3 * channels }, (_, i) => Math.sin(i)),
      },
      {
        name: 'd',
        dims: [size, classes],
        data: Array.from({ length: size * classes }, (_, i) => (i % classes) / size),
      },
    ],
  };
  const file = join(folder, 'large.onnx');
  writeFileSync(file, modelBytes(spec));
  await upload(page, file);
  await said(page, /^large\.onnx at r\.\nGrad-CAM of class 199 took/);
  t.pass('52 MB of weights are opened');
  writeFileSync(file, modelBytes(spec).subarray(0, 1e7));
  await upload(page, file);
  t.match(
    await said(page, /large\.onnx.*(?:cut off|ends|damaged|not)/i),
    /large\.onnx/,
    'half of a file is said to be that',
  );
  await page.select('#network', 'digit-scenes');
  await said(page, /^digit-scenes at .*\nGrad-CAM of class \d took/);
}
