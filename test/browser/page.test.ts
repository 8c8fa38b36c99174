// The project's page in a headless Chromium, as people use it: it must draw what the command line draws, go on while it
// computes and after a device is lost, keep what was chosen, and be usable by keyboard, in the dark and on a phone.

import { readFileSync } from 'node:fs';
import type { Page } from 'puppeteer-core';
import type { Test } from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import { heatPicture } from '../../app/image/heat.ts';
import * as limelight from '../../index.ts';
import { device } from '../device.ts';
import { type Answer, explainAll } from './explain-all.ts';
import { said, shown, testPage, textOf, type Use, violations } from './page.ts';

const here = (path: string) => new URL(path, import.meta.url);
const picture = (name: string) => here(`../../models/images/${name}`);

/** What is tried, each in a page of its own. */
const parts: Readonly<Record<string, Use>> = {
  'it explains what is chosen, and draws as the command line does': explains,
  'layers are chosen in a drawing, and fused; scenes tell how right maps are': drawsLayers,
  'networks that read texts': readsTexts,
  'its lessons hold': lessonsHold,
  'what must hold on a network is verified': verifies,
  'the camera is followed': followsCamera,
  'a task is cancelled, a lost device opened again': goesOn,
  'nothing can be sent anywhere': sendsNothing,
  'it is for everybody: light, dark, phone': accessible,
  'without WebGPU it says what to do': withoutWebGpu,
};

testPage('page', parts, ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']);

const toggle = (page: Page, name: string, value: string) =>
  page.click(`input[name="${name}"][value="${value}"]`);

async function explains(t: Test, page: Page, address: string): Promise<void> {
  const file = readFileSync(picture('scene-2.png'));
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
  const unlike = ({ width, height, rgb }: limelight.Pixels, { map }: Answer['explanations'][number]) => {
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

  await page.goto(address);
  const { className } = explanations[0]!;
  await said(page, new RegExp(`digit-scenes at features\\.\nGrad-CAM of class ${className} took \\d+ ms`));
  t.match(await textOf(page, '#adapter'), /^Device: \w/, 'the adapter is named');
  t.ok(unlike(await shown(page, 1), explanations[0]!) <= 1, 'the overlay is that of Grad-CAM');
  t.ok(unlike(await shown(page, 0), explanations[0]!) > 50, 'the picture is not');

  await page.waitForSelector('.channel');
  t.equal(
    await page.$eval('.katex [data-symbol="w_k"]', (symbol) => symbol.textContent),
    'wk\u200b',
    'symbols are marked',
  );
  const [strongest] = await page.$$eval('.channel', (rows) =>
    rows.map((row) => (row as HTMLElement).dataset.channel),
  );
  await page.click('.channel');
  await page.waitForFunction(
    (channel) =>
      new RegExp(`without channel ${channel}: −?[\\d.]+ \\(`).test(
        document.querySelector('.score')!.textContent!,
      ),
    {},
    strongest!,
  );
  t.pass('a channel is taken out, and the score follows');
  const cell = () => textOf(page, '.readout strong');
  const before = await cell();
  await page.focus('.board');
  await page.keyboard.press('ArrowLeft');
  t.notEqual(await cell(), before, 'arrow keys choose another cell of the map');

  await page.focus('input[value="grad-cam++"]');
  await page.keyboard.press('Space');
  await said(page, /Grad-CAM\+\+ of class . took/);
  t.ok(unlike(await shown(page, 2), explanations[1]!) <= 1, 'the space bar adds Grad-CAM++ beside it');
  const focused = () => page.evaluate(() => (document.activeElement as HTMLInputElement).value);
  t.equal(await focused(), 'grad-cam++', 'and the keyboard stays where it is');

  await toggle(page, 'class', '7');
  await said(page, /Grad-CAM of class 7 took.*\n.*Grad-CAM\+\+ of class 7 took/);
  t.equal((await page.$$('#maps canvas')).length, 5, 'two classes by two methods');
  await page.select('#difference', 'grad-cam 3,grad-cam++ 7');
  await page.click('#signed');
  await page.select('#colours', 'cividis');
  await page.select('#layer', 'stage1');
  await said(page, /at stage1\./);
  await page.waitForFunction(() =>
    /^DifferenceGrad-CAM 3 − Grad-CAM\+\+ 7/.test(
      document.querySelector('#maps figure:last-child')!.textContent!,
    ),
  );
  t.match(await textOf(page, '#maps figure:nth-child(2)'), /32 × 32/, 'at a layer of more positions');
  t.match(
    await textOf(page, '#maps figure:nth-child(2) .bar'),
    /^−[\d.]+0[\d.]+$/,
    'a scale with both signs',
  );
  t.equal(
    new URL(page.url()).search,
    '?methods=grad-cam,grad-cam%2B%2B&classes=3,7&layers=stage1&signed=true&difference=grad-cam+3,grad-cam%2B%2B+7&colours=cividis',
    'the address says what is chosen',
  );
  await page.reload();
  await said(page, /at stage1\.\n(.*took.*\n?){4}/);
  t.equal((await page.$$('#maps canvas')).length, 6, 'a reload finds it again');

  await page.goto(`${address}?network=digit-dense&methods=cam,grad-cam`);
  t.match(
    await said(page, /CAM needs/),
    /"pool2" \(maxPool\) is not linear/,
    'CAM says why it does not apply',
  );
  t.equal((await page.$$('#maps canvas')).length, 2, 'and Grad-CAM is there all the same');
  await page.goto(`${address}?network=digit-vit&methods=nonsense&layers=nowhere&classes=99`);
  await said(page, /digit-vit at blocks\.2\.norm1\.\nGrad-CAM of class/);
  t.pass('what an address asks for wrongly is left aside; tokens are a map too');
}

async function drawsLayers(t: Test, page: Page, address: string): Promise<void> {
  await page.goto(address);
  await said(page, /took/);
  t.equal((await page.$$('#graph path')).length, 15, 'a line for each that feeds another');
  // Not by the mouse, which waits for a picture of the page and may find what goes on above it.
  const click = (name: string) =>
    page.$eval(`[data-layer="${name}"]`, (button) => (button as HTMLElement).click());
  await click('stage1');
  await said(page, /^digit-scenes at stage1\.\n/);
  t.match(await textOf(page, '#maps figure:nth-child(2)'), /32 × 32 at stage1/, 'a click explains there');
  await page.select('#fuse', 'max');
  await click('features');
  await said(page, /^digit-scenes at stage1 \+ features\.\n/);
  t.match(
    await textOf(page, '#maps figure:nth-child(2)'),
    /64 × 64 at stage1 \+ features/,
    'two are one map',
  );
  t.match(page.url(), /layers=stage1,features&fuse=max/);
  t.match(
    await textOf(page, '#maps figure:nth-child(2)'),
    /Pointing: peak (?:not )?on the 3\. Energy: \d\d\.\d % on it \(6\.2 % .*Counterfactual: without the 3 the logit falls by 10\.\d/,
    'and it is measured',
  );
  // A press of the mouse under which another picture's answer arrives.
  const layer = (await page.$('[data-layer="stage2"]'))!;
  await layer.scrollIntoView();
  const { x, y } = await layer.clickablePoint();
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.$eval('[data-example="scene-1"]', (example) => (example as HTMLElement).click());
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await page.mouse.up();
  await said(page, /^digit-scenes at stage1 \+ features \+ stage2\.\n/);
  t.pass('a click counts, whatever arrives under it');

  await page.goto(`${address}?picture=mosaic-2x2`);
  await said(page, /took/);
  t.match(await textOf(page, '#doubts'), /^Take care: the picture is in colour/);

  await page.goto(`${address}?network=digit-vit&picture=scene-1`);
  await said(page, /took/);
  const layers = () => page.$$eval('#graph [data-layer]', (all) => all.length);
  const closed = await layers();
  await page.click('.block');
  t.ok((await layers()) > closed, 'a block is opened by a click');
  await page.click('.frame button');
  t.equal(await layers(), closed, 'and closed');
}

async function readsTexts(t: Test, page: Page, address: string): Promise<void> {
  await page.goto(`${address}?network=digit-vqa&picture=scene-1`);
  await said(page, /^digit-vqa at features\.\nGrad-CAM of class two took/);
  t.pass('how many digits: two');
  const ask = async (question: string) => {
    await page.$eval('#text', (input) => {
      (input as HTMLInputElement).value = '';
    });
    await page.type('#text', question);
    await page.keyboard.press('Enter');
  };
  await ask('is there a five');
  await said(page, /Grad-CAM of class yes took/);
  t.match(page.url(), /text=is\+there\+a\+five/);
  await ask('is there a hippopotamus');
  t.match(await said(page, /hippopotamus/), /does not know the word "hippopotamus"/);
  await page.goto(`${address}?network=digit-caption&picture=scene-1&text=a`);
  t.match(await said(page, /took/), /Grad-CAM of class (two|five) took/, 'the word after "a"');
}

/** The number that a lesson shows. */
async function numberOf(
  page: Page,
  lesson: string,
  isNew: (was: string) => boolean = () => true,
): Promise<number> {
  const selector = `#stage-${lesson} .big-number strong`;
  await page.evaluate((id) => document.getElementById(id)!.scrollIntoView(), `stage-${lesson}`);
  for (;;) {
    const text = await page.waitForSelector(selector).then(() => textOf(page, selector));
    if (isNew(text)) return Number(text.replaceAll('−', '-'));
  }
}

async function lessonsHold(t: Test, page: Page, address: string): Promise<void> {
  await page.goto(address);
  await said(page, /took/);
  t.ok((await numberOf(page, 'theorem')) < 1e-5, 'CAM is Z times Grad-CAM');
  t.ok((await numberOf(page, 'dense')) > 0.1, 'behind a dense head Grad-CAM is not HiResCAM');
  t.match(await textOf(page, '#stage-dense .verdict'), /CAM needs/, 'and CAM is refused');
  const bent = await numberOf(page, 'tail');
  t.ok(bent > 0.01, `a tail of GELU parts the closed form from the derivatives (${bent})`);
  await page.click('#stage-tail input[value="relu"]');
  t.ok((await numberOf(page, 'tail', (text) => Number(text) !== bent)) < 1e-5, 'one of ReLU does not');
  const ratio = await numberOf(page, 'softmax');
  t.ok(ratio > 1 && ratio <= Math.E, `under the softmax no weight is more than e times another (${ratio})`);

  const rule = async (name: string) => {
    const was = await textOf(page, '#stage-transformer .big-number');
    await page.$eval(`#stage-transformer input[value="${name}"]`, (box) => (box as HTMLElement).click());
    await page.waitForFunction(
      (before) => document.querySelector('#stage-transformer .big-number')!.textContent !== before,
      {},
      was,
    );
  };
  const onDigit = async () => Number.parseFloat(await textOf(page, '#stage-transformer .big-number'));
  await numberOf(page, 'transformer');
  const plain = await onDigit();
  for (const name of ['identity', 'normalisation', 'uniform']) await rule(name);
  t.ok((await onDigit()) > plain + 25, `three rules find the digit: ${plain} %, ${await onDigit()} %`);

  const moved = await numberOf(page, 'lie');
  t.ok(moved < 0.5, `Grad-CAM lies, and the logits stay within ${moved}`);
  const drawn = async (i: number) =>
    page.$$eval('#stage-lie canvas', (all, n) => (all[n] as HTMLCanvasElement).toDataURL(), i);
  t.notEqual(await drawn(0), await drawn(1));

  await page.evaluate(() => document.getElementById('stage-train')!.scrollIntoView());
  await page.waitForSelector('#stage-train button');
  const press = () => page.$eval('#stage-train button', (button) => (button as HTMLElement).click());
  await press();
  const untaught = await numberOf(page, 'train');
  t.ok(Math.abs(untaught - Math.log(2)) < 0.15, `who knows nothing has a loss of ln 2 (${untaught})`);
  await page.waitForFunction(() =>
    / (?:[3-9]0|\d{3,}) steps/.test(document.querySelector('#stage-train')!.textContent!),
  );
  await press();
  t.equal(await textOf(page, '#stage-train button'), 'Go on', 'training is stopped');
  t.ok((await numberOf(page, 'train')) < untaught, 'and the loss has fallen');

  await page.evaluate(() => document.getElementById('stage-drag')!.scrollIntoView());
  const rows = async () =>
    page.$$eval('#stage-drag tbody tr', (found) => found.map((row) => row.textContent!.slice(0, 1)).join(''));
  await page.waitForSelector('#stage-drag tr:nth-child(3) td');
  t.equal(await rows(), '307', 'three digits are worth something');
  await page.click('[data-object="0"]');
  await page.waitForFunction(() => document.querySelectorAll('#stage-drag tbody tr').length === 2);
  t.equal(await rows(), '37', 'one is taken out');
  await page.$eval('#stage-drag input[value^="a pear"]', (scene) => (scene as HTMLElement).click());
  await page.waitForFunction(() => document.querySelector('#stage-drag td')?.textContent === 'a pear');
  const cells = await page.$$eval('#stage-drag tr:nth-child(1) td', (all) =>
    all.map((one) => one.textContent!),
  );
  t.ok(Number(cells[2]) > 0, `another scene: ${cells}`);
}

async function verifies(t: Test, page: Page, address: string): Promise<void> {
  await page.goto(`${address}?network=digit-scenes&methods=grad-cam`);
  await said(page, /took/);
  // Which stand above the button, and move it when they come.
  await page.waitForSelector('#terms-body[aria-busy="false"] .channel');
  await page.click('#claims button');
  await page.waitForSelector('#claims table');
  const rows = await page.$$eval('#claims tbody tr', (found) =>
    found.map((row) => [...row.children].map((cell) => cell.textContent!)),
  );
  t.equal(rows.length, limelight.claims.size, 'a row for each claim');
  const results = rows.map(([sentence, , , result]) => `${sentence}: ${result}`);
  t.ok(results.filter((one) => one.endsWith(': holds')).length > 9, `hold: ${results.join('; ')}`);
  t.notOk(
    results.some((one) => one.endsWith('FAILS')),
    'and none fails',
  );
  t.ok(
    results.some((one) => /does not apply: "classifier" is not 0/.test(one)),
    'where one does not apply, it says why',
  );
  await page.click('input[name="class"]:not(:checked)');
  await page.waitForFunction(() => !document.querySelector('#claims table'));
  t.pass('another class takes them away');
}

async function goesOn(t: Test, page: Page, address: string): Promise<void> {
  // A tail for each of 32 x 32 positions.
  await page.goto(`${address}?methods=token-occlusion&layers=stage1`);
  await page.waitForSelector('#activity.shown');
  const state = await page.evaluate(async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 10));
    return document.getElementById('activity')!.className;
  });
  t.equal(state, 'shown', 'the page takes turns while the worker is still at it');
  await page.waitForFunction(() =>
    /Occlusion.*(left|so far)/.test(document.getElementById('activity-text')!.textContent!),
  );
  // Not by the mouse, which waits for a picture of the page: a software device draws none while it computes.
  await page.$eval('#cancel', (button) => (button as HTMLElement).click());
  t.match(await said(page, /cancelled/), /Occlusion at a layer was cancelled/, 'and is cancelled');
  await page.$eval('input[value="token-occlusion"]', (box) => (box as HTMLElement).click());
  await said(page, /^digit-scenes at .*\nGrad-CAM of class \d took/);
  t.pass('another task follows');

  const [worker] = page.workers();
  await worker!.evaluate(() => {
    const { createCommandEncoder } = GPUDevice.prototype;
    GPUDevice.prototype.createCommandEncoder = function (...given) {
      this.destroy();
      return createCommandEncoder.apply(this, given);
    };
  });
  await page.select('#network', 'digit-dense');
  await said(page, /^digit-dense at .*\nGrad-CAM of class \d took/);
  t.match(
    await textOf(page, '#lost:not([hidden])'),
    /^The device was lost and has been opened again/,
    'a lost device is opened again, and what was asked of it is answered',
  );
}

async function followsCamera(t: Test, page: Page, address: string): Promise<void> {
  await page.goto(address);
  await said(page, /took/);
  await page.click('#camera');
  await page.waitForFunction(() => /240/.test(document.getElementById('maps')!.textContent!));
  const before = await shown(page, 0);
  await page.waitForFunction(
    (url) => (document.querySelector('#maps canvas') as HTMLCanvasElement).toDataURL() !== url,
    {},
    await page.$eval('#maps canvas', (canvas) => (canvas as HTMLCanvasElement).toDataURL()),
  );
  t.ok(before.width > before.height, 'one frame after another is explained');
  // Not by the mouse, which waits for a picture of the page.
  await page.$eval('[data-example="scene-1"]', (example) => (example as HTMLElement).click());
  t.equal(await textOf(page, '#camera'), 'Camera', 'another picture ends it');
  await page.waitForFunction(() => /64 × 64/.test(document.getElementById('maps')!.textContent!));
}

async function sendsNothing(t: Test, page: Page, address: string): Promise<void> {
  await page.goto(address);
  await said(page, /took/);
  page.removeAllListeners('console');
  const attempt = () =>
    new Promise<string>((resolve) => {
      addEventListener('securitypolicyviolation', ({ effectiveDirective }) => resolve(effectiveDirective));
      fetch('http://localhost:9/').catch(() => setTimeout(() => resolve('not stopped'), 500));
    });
  t.equal(await page.evaluate(attempt), 'connect-src', 'by the page');
  t.equal(await page.workers()[0]!.evaluate(attempt), 'connect-src', 'by the worker, which has the files');
}

async function accessible(t: Test, page: Page, address: string): Promise<void> {
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(`${address}?network=digit-dense&methods=cam,grad-cam`);
    await said(page, /took/);
    await page.click('#hub summary');
    t.deepEqual(await violations(page), [], `axe finds nothing, ${scheme}`);
  }
  await page.setViewport({ width: 390, height: 844 });
  t.equal(
    await page.evaluate(() => document.documentElement.scrollWidth),
    390,
    'nothing is wider than a phone',
  );
  await page.evaluate(() => document.getElementById('colours')!.scrollIntoView({ block: 'center' }));
  const top = await page.$eval('#maps', (maps) => maps.getBoundingClientRect().top);
  t.equal(top, 0, 'and maps stay in sight where they are changed');
}

async function withoutWebGpu(t: Test, page: Page, address: string): Promise<void> {
  page.on('workercreated', (worker) =>
    worker.evaluate(() => Object.defineProperty(navigator, 'gpu', { value: undefined })).catch(() => {}),
  );
  await page.goto(`${address}?gpu=none`);
  await page.waitForSelector('#failure:not([hidden])');
  t.match(
    await textOf(page, '#failure-why'),
    /navigator\.gpu is missing[\s\S]*To mend it: open the page over https or from localhost/,
  );
  const images = await page.$$eval('#failure img', (all) =>
    all.map((one) => (one as HTMLImageElement).naturalWidth),
  );
  t.ok(
    images.length > 2 && images.every((width) => width > 0),
    'and shows answers that were computed before',
  );
}
