// Files that are dropped on the page: pictures, networks of every format, names of classes, networks with several outputs;
// and published ones, which it fetches.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { zipSync } from 'fflate';
import type { ElementHandle, Page } from 'puppeteer-core';
import type { Test } from 'tape';
import { decodeImage, encodePng } from '../../app/image/decode.ts';
import * as limelight from '../../index.ts';
import type { StateDict } from '../../models/formats/host-tensor.ts';
import { readSafetensors, writeSafetensors } from '../../models/formats/safetensors.ts';
import { imagenetLabels, published } from '../../models/hub/published.ts';
import { encode, functional, h5File, tfjsFiles } from '../models/keras-fixtures.ts';
import { type ModelSpec, modelBytes } from '../models/onnx-file.ts';
import { array } from '../reference/index.ts';
import { PATIENCE } from './chromium.ts';
import { said, shown, testPage, textOf } from './page.ts';

const here = (path: string) => new URL(path, import.meta.url);

testPage('files that are dropped on the page', {
  'pictures and networks': takesFiles,
  'a network with several outputs': asksForOutput,
  'a published network, fetched by its name': fetchesByName,
});

/** A JPEG with halved chroma, which decoders upsample in more than one way. */
const jpegFile = Buffer.from(
  (
    JSON.parse(readFileSync(here('../app/references/pictures.json'), 'utf8')) as {
      cases: readonly { title: string; file: string }[];
    }
  ).cases.find(({ title }) => title === 'JPEG 4:2:0')!.file,
  'base64',
);

/** Drops files and folders on the page, as somebody does who drags them there. */
async function dropper(page: Page): Promise<(...files: readonly string[]) => Promise<void>> {
  const client = await page.createCDPSession();
  return async (...files) => {
    const data = { items: [], files: [...files], dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
      await client.send('Input.dispatchDragEvent', { type, x: 400, y: 300, data });
  };
}

async function takesFiles(t: Test, page: Page, address: string, folder: string): Promise<void> {
  await page.goto(address);
  await said(page, /took/);
  const input = (await page.$('#file')) as ElementHandle<HTMLInputElement>;
  await input.uploadFile(fileURLToPath(here('../../models/images/scene-1.png')));
  await said(page, /Grad-CAM of class [25] took/);
  const photo = join(folder, 'photo.jpg');
  writeFileSync(photo, jpegFile);
  await input.uploadFile(photo);
  await page.waitForFunction(() => /37 × 29/.test(document.getElementById('maps')!.textContent!));
  const decoded = await decodeImage(jpegFile, 'photo.jpg');
  const found = await shown(page, 0);
  const zoom = found.width / decoded.width;
  const unlike = decoded.rgb.findIndex((value, i) => {
    const [x, y] = [Math.floor(i / 3) % decoded.width, Math.floor(i / 3 / decoded.width)];
    return value !== found.rgb[3 * (y * zoom * found.width + x * zoom) + (i % 3)];
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
  await page.click('[data-example="scene-2"]');
  await said(page, /took/);

  // The means of a picture's colours, times 1, as three classes.
  const onnx = join(folder, 'colours.onnx');
  const weight = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  const spec: ModelSpec = {
    inputs: [{ name: 'x', dims: [1, 3, 64, 64] }],
    outputs: ['y'],
    nodes: [
      { op: 'Conv', name: 'colours', inputs: ['x', 'w'], outputs: ['c'] },
      { op: 'GlobalAveragePool', inputs: ['c'], outputs: ['p'] },
      { op: 'Flatten', inputs: ['p'], outputs: ['y'] },
    ],
    initializers: [{ name: 'w', dims: [3, 3, 1, 1], data: weight }],
  };
  writeFileSync(onnx, modelBytes(spec));
  const names = join(folder, 'labels.txt');
  writeFileSync(names, 'red\ngreen\nblue\n');
  const drop = await dropper(page);
  await drop(onnx, names);
  await said(page, /^colours\.onnx at .*\nGrad-CAM of class (red|green|blue) took/);
  t.pass('an ONNX file and the names of its classes are opened');
  const logit = async () => Number(/logit ([\d.]+)/.exec(await textOf(page, '#maps .notes'))![1]);
  const before = await logit();
  await page.select('#preset', 'raw');
  await said(page, /took/);
  t.ok(Math.abs((await logit()) / before / 255 - 1) < 0.02, 'pixels are scaled as is chosen');

  // The same network as Keras and TensorFlow.js have it.
  const config = functional(
    [64, 64, 3],
    [
      { class: 'Conv2D', name: 'colours', config: { filters: 3, kernel_size: [1, 1], use_bias: false } },
      { class: 'GlobalAveragePooling2D', name: 'gap' },
    ],
  );
  const weights = { 'colours/kernel': array([1, 1, 3, 3], weight) };
  const { root, shard } = tfjsFiles(config, weights);
  const written: Readonly<Record<string, Uint8Array>> = {
    'colours.h5': await h5File(config, weights),
    'tfjs/model.json': encode(root),
    'tfjs/group1-shard1of1.bin': shard,
  };
  mkdirSync(join(folder, 'tfjs'));
  for (const [name, bytes] of Object.entries(written)) writeFileSync(join(folder, name), bytes);
  await drop(join(folder, 'colours.h5'), names);
  await said(page, /^colours\.h5 at .*\nGrad-CAM of class (red|green|blue) took/);
  t.pass('an .h5 file is opened');
  await drop(join(folder, 'tfjs'), names);
  await said(page, /^model\.json at .*\nGrad-CAM of class (red|green|blue) took/);
  t.pass('a folder of TensorFlow.js is opened');

  const archive = JSON.parse(readFileSync(here('../models/references/keras-archive.json'), 'utf8'));
  writeFileSync(join(folder, 'small.keras'), Buffer.from(archive.files['Keras 3'], 'base64'));
  await drop(join(folder, 'small.keras'));
  await said(page, /^small\.keras at .*\nGrad-CAM of class \d took/);
  t.pass('a .keras archive is opened');

  const shipped = readFileSync(limelight.catalogEntry('digit-scenes').weights!);
  writeFileSync(join(folder, 'weights.safetensors'), shipped);
  writeFileSync(join(folder, 'weights.pt'), pytorchFile(readSafetensors(shipped, 'weights').tensors));
  for (const name of ['weights.safetensors', 'weights.pt']) {
    await drop(join(folder, name));
    await said(page, /^digit-scenes at features\.\nGrad-CAM of class 3 took/);
    t.pass(`${name} is opened`);
    await page.select('#network', 'digit-dense');
    await said(page, /^digit-dense/);
  }
}

async function asksForOutput(t: Test, page: Page, address: string, folder: string): Promise<void> {
  const spec: ModelSpec = {
    inputs: [{ name: 'x', dims: [1, 3, 64, 64] }],
    outputs: ['first', 'second'],
    nodes: [
      { op: 'Conv', name: 'colours', inputs: ['x', 'w'], outputs: ['c'] },
      { op: 'GlobalAveragePool', inputs: ['c'], outputs: ['p'] },
      { op: 'Flatten', inputs: ['p'], outputs: ['f'] },
      { op: 'Gemm', inputs: ['f', 'a'], outputs: ['first'] },
      { op: 'Gemm', inputs: ['f', 'b'], outputs: ['second'] },
    ],
    initializers: [
      { name: 'w', dims: [3, 3, 1, 1], data: [1, 0, 0, 0, 1, 0, 0, 0, 1] },
      { name: 'a', dims: [3, 2], data: [2, 1, 2, 1, 2, 1] },
      { name: 'b', dims: [3, 4], data: [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4] },
    ],
  };
  writeFileSync(join(folder, 'heads.onnx'), modelBytes(spec));
  await page.goto(address);
  await said(page, /took/);
  const input = (await page.$('#file')) as ElementHandle<HTMLInputElement>;
  await input.uploadFile(join(folder, 'heads.onnx'));
  await said(page, /several outputs that could be explained/);
  t.equal(await page.$eval('#output', (select) => select.textContent), 'the one with the classesfirstsecond');
  for (const [output, likeliest] of [
    ['second', 3],
    ['first', 0],
  ] as const) {
    await page.select('#output', output);
    await said(page, new RegExp(`^heads\\.onnx at .*\\nGrad-CAM of class ${likeliest} took`));
    t.pass(`${output} is explained`);
  }
}

/** A state dict as torch.save writes it, protocol 2: a dictionary of tensors, each in a storage of its own. */
function pytorchFile(tensors: StateDict): Uint8Array {
  const ascii = (text: string) => [...Buffer.from(text)];
  const name = (text: string) => [0x58, text.length, 0, 0, 0, ...ascii(text)];
  const whole = (value: number) => [0x4a, value & 255, (value >> 8) & 255, (value >> 16) & 255, value >> 24];
  const tuple = (...items: number[][]) => [0x28, ...items.flat(), 0x74];
  const global = (module: string, item: string) => [0x63, ...ascii(`${module}\n${item}\n`)];
  const storages: Record<string, Uint8Array> = {};
  const entries = [...tensors].flatMap(([key, { shape, data }], i) => {
    storages[`archive/data/${i}`] = new Uint8Array(Float32Array.from(data).buffer);
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
    const storage = tuple(
      name('storage'),
      global('torch', 'FloatStorage'),
      name(String(i)),
      name('cpu'),
      whole(data.length),
    );
    const orderedDict = [...global('collections', 'OrderedDict'), 0x29, 0x52];
    const made = tuple(
      [...storage, 0x51],
      whole(0),
      tuple(...shape.map(whole)),
      tuple(...strides.map(whole)),
      [0x89],
      orderedDict,
    );
    return [...name(key), ...global('torch._utils', '_rebuild_tensor_v2'), ...made, 0x52];
  });
  const pickle = Uint8Array.from([0x80, 2, 0x7d, 0x28, ...entries, 0x75, 0x2e]);
  return zipSync({ 'archive/data.pkl': pickle, ...storages }, { level: 0 });
}

/** Published weights, from a server of this process in place of those that publish them. */
async function fetchesByName(t: Test, watched: Page, address: string, folder: string): Promise<void> {
  const name = 'mobilenetv3_small_100';
  const parameters = limelight
    .catalogEntry(name)
    .graph.nodes.flatMap((node) => Object.entries(node.parameters));
  const weights = writeSafetensors(
    parameters.map(([short, { key, shape }]) => {
      const data = new Float32Array(shape.reduce((product, n) => product * n, 1));
      return [key, { shape, data: data.map((_, i) => (short === 'variance' ? 1 : Math.sin(i) / 10)) }];
    }),
    { dtype: 'F32' },
  );
  const labels = Buffer.from(Array.from({ length: 1000 }, (_, i) => `thing ${i}`).join('\n'));
  const files = [
    { remote: published.get(name)!.weights, bytes: weights },
    { remote: imagenetLabels, bytes: labels },
  ];
  const allowed = /connect-src ([^"]*)"/
    .exec(readFileSync(join(folder, 'hub/index.html'), 'utf8'))![1]!
    .split(' ');
  const asked: string[] = [];
  let answer: 'nothing' | 'something else' | 'the file' | 'half of it' = 'nothing';
  const server = createServer(({ url }, response) => {
    asked.push(url!);
    const found = files.find(({ remote }) => new URL(remote.url).pathname === url);
    response.setHeader('access-control-allow-origin', '*');
    if (answer === 'nothing' || !found) response.writeHead(503).end();
    else if (answer === 'half of it') response.write(found.bytes.subarray(0, found.bytes.length / 2));
    else response.end(answer === 'the file' ? found.bytes : answer);
  });
  await new Promise<void>((done) => server.listen(0, 'localhost', done));
  const hub = `http://localhost:${(server.address() as AddressInfo).port}`;
  /** Changes what the page is made of. */
  const exchange = (pairs: readonly (readonly [string, string])[]) => {
    for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!/\.(js|html)$/.test(file)) continue;
      const text = readFileSync(join(folder, file), 'utf8');
      writeFileSync(
        join(folder, file),
        pairs.reduce((now, [from, to]) => now.replaceAll(from, to), text),
      );
    }
  };
  for (const { remote } of files)
    t.ok(allowed.includes(new URL(remote.url).origin), `${remote.url} is allowed`);
  exchange(files.map(({ remote }) => [new URL(remote.url).origin, hub]));

  const page = await watched.browser().newPage();
  page.setDefaultTimeout(PATIENCE);
  const press = (expected: RegExp) =>
    page
      .$eval('#fetch', (button) => (button as HTMLElement).click())
      .then(() =>
        page.waitForFunction(
          (source) => new RegExp(source).test(document.getElementById('hub-says')!.textContent!),
          {},
          expected.source,
        ),
      );
  try {
    await page.goto(`${address}?network=${name}&methods=hires-cam`);
    await said(page, /^digit-scenes at/);
    t.match(
      await textOf(page, '#hub[open] #hub-says'),
      new RegExp(`asks for ${name}, which has to be fetched`),
    );
    t.equal(await textOf(page, '#fetch'), 'Fetch 10 MB');
    t.deepEqual(asked, [], 'nothing is fetched before the visitor says so');
    await press(/model\.safetensors: the server answered 503/);
    answer = 'something else';
    await press(
      /a file with the SHA-256 [0-9a-f]{64}, where 46d2c063[0-9a-f]{56} is expected: .* is not kept/,
    );
    answer = 'half of it';
    await press(/^Fetching/);
    await page.waitForFunction(() => (document.getElementById('fetched') as HTMLProgressElement).value > 0.2);
    t.equal(await textOf(page, '#fetch'), 'Cancel');
    await press(/was cancelled$/);
    t.equal(await page.$$eval('iframe', (all) => all.length), 0, 'what fetched it is gone');

    // The page of the next visit expects the files of this server.
    exchange(
      files.map(({ remote, bytes }) => [remote.sha256!, createHash('sha256').update(bytes).digest('hex')]),
    );
    await page.evaluate(async () => {
      for (const one of await navigator.serviceWorker.getRegistrations()) await one.unregister();
      for (const key of await caches.keys()) await caches.delete(key);
    });
    answer = 'the file';
    await page.goto(`${address}?network=${name}&methods=hires-cam`);
    await said(page, /^digit-scenes at/);
    await press(/is here\.$/);
    t.match(await said(page, /HiResCAM of class thing \d+ took/), new RegExp(`^${name}`), 'it is explained');
    t.match(page.url(), new RegExp(`network=${name}&methods=hires-cam`), 'as the link asked');
    const paths = files.map(({ remote }) => new URL(remote.url).pathname);
    t.deepEqual(asked.slice(-2), paths, 'with the names of its classes');
    const before = asked.length;
    await page.reload();
    await said(page, /HiResCAM of class thing \d+ took/);
    t.equal(asked.length, before, 'from then on it is here');
  } finally {
    await page.close();
    server.closeAllConnections();
    server.close();
  }
}
