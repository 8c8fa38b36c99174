// The platform layer. The suite's own process may open one software device only, and other files do that; so
// the chooser is tested with fakes, and real drivers are opened in processes of their own.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import test, { type Test } from 'tape';
import { adapterName, isSoftwareAdapter } from '../../engine/adapter-names.ts';
import { NoDeviceError, UnknownAdapterError } from '../../engine/errors.ts';
import * as browser from '../../engine/platform/browser.ts';
import { type Asked, type Candidate, chooseAdapter } from '../../engine/platform/choose.ts';
import { ArchiveError, CacheError, FileError } from '../../engine/platform/errors.ts';
import type { AdapterKind } from '../../engine/platform/interface.ts';
import { cacheFolders, keepFiles } from '../../engine/platform/node/cache.ts';
import { loadLibrary, withEnvironment } from '../../engine/platform/node/libraries.ts';
import { untar } from '../../engine/platform/node/untar.ts';
import * as node from '../../engine/platform/node.ts';

type Class = new (...args: never[]) => Error;

/** Asserts that `run` fails with exactly this class, and gives the error back. */
async function fails(t: Test, run: () => unknown, type: Class, about: string): Promise<Error> {
  try {
    await run();
  } catch (error) {
    t.equal((error as Error).constructor, type, `${about}: ${type.name}, not ${error}`);
    return error as Error;
  }
  t.fail(`${about}: did not fail`);
  return new Error('did not fail');
}

function temporary(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// ---- The chooser

type Outcome = 'opens' | 'null' | Error;

/** A table of fakes; `tried` records which were opened, and what they were asked. */
function fakes(outcomes: Partial<Record<AdapterKind, Outcome>>) {
  const tried: [AdapterKind, Asked?][] = [];
  const table = Object.entries(outcomes).map(
    ([kind, outcome]): Candidate => ({
      kind: kind as AdapterKind,
      selects: kind === 'native',
      absent: `no ${kind}`,
      describe: (name) => `${name} it is`,
      async open(asked) {
        tried.push([kind as AdapterKind, asked]);
        if (outcome instanceof Error) throw outcome;
        if (outcome === 'null') return null;
        const info = { vendor: '', architecture: '', device: kind, description: '' };
        return { gpu: {} as GPU, adapter: { info } as GPUAdapter };
      },
    }),
  );
  return { table, tried };
}

const remedy = () => 'npm install hope';

test('platform: the first adapter that opens is chosen, and says why', async (t) => {
  const { table, tried } = fakes({ native: new Error('no driver'), gles: 'null', swiftshader: 'opens' });
  const { kind, name, why } = await chooseAdapter(table, undefined, remedy);
  t.equal(kind, 'swiftshader');
  t.equal(name, 'swiftshader');
  t.equal(why, 'no native; no gles; swiftshader it is');
  t.deepEqual(tried, [
    ['native', undefined],
    ['gles', undefined],
    ['swiftshader', undefined],
  ]);
});

test('platform: nothing is tried after the first that opens', async (t) => {
  const { table, tried } = fakes({ native: 'opens', gles: 'opens', swiftshader: 'opens' });
  t.equal((await chooseAdapter(table, undefined, remedy)).why, 'native it is');
  t.deepEqual(tried, [['native', undefined]]);
});

test('platform: a choice is tried alone, an empty one is none', async (t) => {
  const { table, tried } = fakes({ native: 'opens', gles: 'opens', swiftshader: 'opens' });
  t.equal((await chooseAdapter(table, 'gles', remedy)).why, 'asked for as "gles"; gles it is');
  t.equal((await chooseAdapter(table, 'native:GeForce: 2', remedy)).kind, 'native');
  t.equal((await chooseAdapter(table, '', remedy)).why, 'native it is');
  t.deepEqual(tried, [
    ['gles', { kind: 'gles', which: undefined }],
    ['native', { kind: 'native', which: 'GeForce: 2' }],
    ['native', undefined],
  ]);
});

test('platform: an unknown choice lists the names and tries nothing', async (t) => {
  const { table, tried } = fakes({ native: 'opens', gles: 'opens', swiftshader: 'opens' });
  for (const choice of ['vulkan', 'GLES', ' gles', ':', 'native:', 'gles:1', 'toString']) {
    const { message } = await fails(
      t,
      () => chooseAdapter(table, choice, remedy),
      UnknownAdapterError,
      choice,
    );
    t.ok(message.includes(`"${choice}"`), 'names what was asked for');
    t.ok(message.includes('native, native:<part of its name>, gles, swiftshader'), 'lists the names');
  }
  t.equal(tried.length, 0);
});

test('platform: NoDeviceError lists every adapter tried, the reason, and the remedy', async (t) => {
  const { table } = fakes({
    native: new Error('no\ndriver'),
    gles: 'null',
    swiftshader: new Error('no package'),
  });
  const error = await fails(t, () => chooseAdapter(table, undefined, remedy), NoDeviceError, 'all fail');
  t.equal(
    error.message,
    [
      'no WebGPU adapter could be opened. Tried:',
      '  native: no',
      '    driver',
      '  gles: the driver offers no adapter that WebGPU can use',
      '  swiftshader: no package',
      'To mend it: npm install hope',
    ].join('\n'),
  );
  const alone = await fails(
    t,
    () => chooseAdapter(table, 'swiftshader', remedy),
    NoDeviceError,
    'one asked for',
  );
  t.notOk(alone.message.includes('gles'), 'others are not tried in place of the one asked for');
});

test('platform: LIMELIGHT_DEVICE is the choice where none is given', async (t) => {
  await withEnvironment({ LIMELIGHT_DEVICE: 'abacus' }, async () => {
    const byVariable = await fails(t, () => node.openAdapter(), UnknownAdapterError, 'variable');
    t.ok(byVariable.message.includes('"abacus"'));
    const byArgument = await fails(t, () => node.openAdapter('astrolabe'), UnknownAdapterError, 'argument');
    t.ok(byArgument.message.includes('"astrolabe"'), 'the argument goes first');
  });
});

test('platform: adapter names', (t) => {
  const name = (vendor: string, architecture: string, device: string, description: string) =>
    adapterName({ vendor, architecture, device, description });
  t.equal(name('', '', 'llvmpipe-256-bits-', 'Mesa 22'), 'llvmpipe-256-bits (Mesa 22)');
  t.equal(name('nvidia', 'hopper', 'nvidia-h100', '550.1'), 'nvidia-h100 (550.1)', 'no vendor twice');
  t.equal(name('apple', 'metal-3', '', ''), 'apple metal-3');
  t.equal(name('', '', '', ''), 'an unnamed adapter');
  t.equal(adapterName(undefined), 'an unnamed adapter', 'of browsers whose adapters say nothing');
  t.ok(isSoftwareAdapter('google swiftshader-device') && isSoftwareAdapter('llvmpipe-llvm-15'));
  t.notOk(isSoftwareAdapter('nvidia-h100 (550.1)'));
  t.end();
});

// ---- Real drivers

/** Opens `kind` in a process of its own, computes 2 i + 1 there, and reports. */
function compute(kind: string, cache: string) {
  const url = new URL('../../engine/platform/node.ts', import.meta.url).href;
  const code = `
    import { openAdapter } from '${url}';
    const { adapter, kind, name } = await openAdapter('${kind}');
    const device = await adapter.requestDevice();
    const module = device.createShaderModule({ code: \`
      @group(0) @binding(0) var<storage, read_write> a: array<u32>;
      @compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3u) { a[id.x] = 2 * id.x + 1; }\` });
    const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
    const buffer = device.createBuffer({ size: 64, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
    const result = device.createBuffer({ size: 64, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const entries = [{ binding: 0, resource: { buffer } }];
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(2);
    pass.end();
    encoder.copyBufferToBuffer(buffer, 0, result, 0, 64);
    device.queue.submit([encoder.finish()]);
    await result.mapAsync(GPUMapMode.READ);
    const values = [...new Uint32Array(result.getMappedRange())];
    device.destroy();
    const { EGL_PLATFORM, VK_DRIVER_FILES } = process.env;
    console.log(JSON.stringify({ kind, name, values, env: [EGL_PLATFORM, VK_DRIVER_FILES] }));`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', code];
  const { EGL_PLATFORM: _, VK_DRIVER_FILES: __, VK_ICD_FILENAMES: ___, ...rest } = process.env;
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  return spawnSync(process.execPath, args, {
    cwd,
    encoding: 'utf8',
    env: { ...rest, XDG_CACHE_HOME: cache },
  });
}

for (const [kind, driver, missing] of [
  ['gles', /./, /EGL cannot be loaded|offers no adapter|available on Linux only/],
  ['swiftshader', /swiftshader/, /is installed|not installed|available on Linux only/],
] as const) {
  test(`platform: ${kind} opens and computes`, (t) => {
    const cache = temporary(t);
    const { status, stdout, stderr } = compute(kind, cache);
    if (status !== 0 && missing.test(stderr)) {
      t.skip(`this machine has no ${kind}: ${stderr.match(missing)}`);
      t.end();
      return;
    }
    t.equal(status, 0, `the process ends by itself: ${stderr}`);
    const report = JSON.parse(stdout || '{}');
    t.equal(report.kind, kind);
    t.match(report.name, driver);
    t.deepEqual(
      report.values,
      Array.from({ length: 16 }, (_, i) => 2 * i + 1),
    );
    t.deepEqual(report.env, [null, null], 'the environment is as before');
    t.end();
  });
}

test('platform: a SwiftShader that was cut short on disk is unpacked again', (t) => {
  const cache = temporary(t);
  if (compute('swiftshader', cache).status === 0) {
    const found = readdirSync(cache, { recursive: true, encoding: 'utf8' });
    const drivers = found.filter((file) => file.endsWith('libvk_swiftshader.so'));
    for (const file of drivers) truncateSync(join(cache, file), 100_000);
    const { status, stderr } = compute('swiftshader', cache);
    t.equal(status, 0, `the process is not ended by it: ${stderr}`);
    for (const file of drivers) t.ok(lstatSync(join(cache, file)).size > 100_000);
  } else t.skip('this machine has no swiftshader');
  t.end();
});

// ---- Files

test('platform: text and bytes read files, errors name them', async (t) => {
  const folder = temporary(t);
  const url = pathToFileURL(join(folder, 'grüße.txt'));
  writeFileSync(url, 'a → b\n');
  t.equal(await node.text(url), 'a → b\n');
  t.deepEqual([...(await node.bytes(url))], [...Buffer.from('a → b\n')]);
  writeFileSync(url, '');
  t.equal((await node.bytes(url)).length, 0, 'an empty file');
  const wrong = [new URL('none.txt', url), pathToFileURL(folder), new URL('https://localhost/x.txt')];
  for (const bad of wrong) {
    for (const read of [node.text, node.bytes]) {
      const { message } = await fails(t, () => read(bad), FileError, bad.protocol);
      const named = bad.protocol === 'file:' ? fileURLToPath(bad) : bad.href;
      t.ok(message.includes(`cannot read ${named}: `), 'names the file');
    }
  }
  const { message } = await fails(t, () => node.bytes(pathToFileURL('/dev/zero')), FileError, 'without end');
  t.match(message, /cannot read \/dev\/zero: it is a device/);
});

test('platform: in browsers text and bytes fetch, errors name the file', async (t) => {
  const server = createServer((request, response) => {
    if (request.url === '/cut') {
      response.writeHead(200, { 'content-length': 10 }).write('abc', () => response.destroy());
    } else response.writeHead(request.url === '/ok' ? 200 : 404).end('a → b');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.teardown(() => server.close());
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.equal(await browser.text(new URL('/ok', base)), 'a → b');
  t.deepEqual([...(await browser.bytes(new URL('/ok', base)))], [...Buffer.from('a → b')]);
  for (const bad of ['/absent', '/cut', 'http://127.0.0.1:1/refused']) {
    const url = new URL(bad, base);
    const { message } = await fails(t, () => browser.text(url), FileError, bad);
    t.ok(message.includes(url.href), 'names the file');
  }
  const damaged = new URL(`data:no-comma-${'x'.repeat(4000)}`);
  const { message } = await fails(t, () => browser.text(damaged), FileError, 'a damaged data: URL');
  t.ok(message.includes('data:no-comma') && message.length < 200, 'a file inside its URL is named in short');
});

test('platform: in browsers the adapter is that of navigator.gpu, core before compatibility', async (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  t.teardown(() => {
    if (before) Object.defineProperty(globalThis, 'navigator', before);
    else Reflect.deleteProperty(globalThis, 'navigator');
  });
  const withGpu = (gpu: unknown) =>
    Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  withGpu(undefined);
  const { message } = await fails(t, () => browser.openAdapter(), NoDeviceError, 'no WebGPU');
  t.match(message, /browser: navigator\.gpu is missing[\s\S]*To mend it: open the page over https/);
  const requests: unknown[] = [];
  const info = { vendor: 'mesa', architecture: 'llvmpipe', device: '', description: '' };
  withGpu({
    async requestAdapter(options: GPURequestAdapterOptions) {
      requests.push(options.featureLevel);
      return options.featureLevel === 'compatibility' ? { info } : null;
    },
  });
  const { kind, name } = await browser.openAdapter();
  t.deepEqual([kind, name, requests], ['browser', 'mesa llvmpipe', [undefined, 'compatibility']]);
  await fails(t, () => browser.openAdapter('gles'), UnknownAdapterError, 'a name of Node');
});

// ---- Untar

/** One ustar entry, header and padded contents, with a true checksum whatever the fields say. */
function entry(name: string, contents: string, fields: { size?: string; type?: string } = {}): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 'latin1');
  header.write(
    fields.size ?? `${Buffer.byteLength(contents).toString(8).padStart(11, '0')}\0`,
    124,
    'latin1',
  );
  header.write('        ', 148, 'latin1');
  header.write(fields.type ?? '0', 156, 'latin1');
  const sum = header.reduce((a, b) => a + b, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  const body = Buffer.alloc(Math.ceil(Buffer.byteLength(contents) / 512) * 512);
  body.write(contents);
  return Buffer.concat([header, body]);
}

const asText = (files: Map<string, Uint8Array>) =>
  Object.fromEntries([...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString()]));

test('platform: untar reads what tar wrote', (t) => {
  const folder = temporary(t);
  const big = 'x'.repeat(1025);
  mkdirSync(join(folder, 'in'));
  writeFileSync(join(folder, 'in', 'empty'), '');
  writeFileSync(join(folder, 'in', 'block'), 'y'.repeat(512));
  writeFileSync(join(folder, 'big'), big);
  const { status } = spawnSync('tar', ['--format=ustar', '-cf', 'a.tar', 'in', 'big'], { cwd: folder });
  if (status !== 0) t.skip('there is no tar on this machine');
  else {
    const files = untar(readFileSync(join(folder, 'a.tar')), ['empty', 'big', 'block']);
    t.deepEqual(asText(files), { empty: '', big, block: 'y'.repeat(512) });
  }
  t.end();
});

test('platform: untar takes base names only, and only regular files', async (t) => {
  const archive = Buffer.concat([
    entry('../../etc/a', 'A'),
    entry('b', 'B', { type: '\0' }),
    entry('c', 'C'),
  ]);
  t.deepEqual(asText(untar(archive, ['b', 'a'])), { a: 'A', b: 'B' });
  const link = entry('a', '', { type: '2' });
  t.match((await fails(t, () => untar(link, ['a']), ArchiveError, 'a link')).message, /lacks a$/);
});

test('platform: untar refuses truncated archives, wherever they end', async (t) => {
  const archive = Buffer.concat([entry('a', 'A'.repeat(700)), entry('b', 'B'.repeat(20))]);
  const contentsEnd = archive.length - 512 + 20;
  for (let length = 0; length < contentsEnd; length++) {
    try {
      untar(archive.subarray(0, length), ['a', 'b']);
      t.fail(`accepted ${length} bytes`);
    } catch (error) {
      if (!(error instanceof ArchiveError)) t.fail(`${length} bytes: ${error}`);
    }
  }
  t.equal(
    untar(archive.subarray(0, contentsEnd), ['a', 'b']).get('b')?.length,
    20,
    'only padding is missing',
  );
});

test('platform: untar refuses archives that lie', async (t) => {
  const flipped = entry('a', 'A');
  flipped[0] = 'z'.charCodeAt(0);
  const cases: [string, Buffer, RegExp][] = [
    ['a changed header', flipped, /wrong checksum/],
    ['a size beyond the end', entry('a', 'A', { size: '77777777777\0' }), /ends inside "a"/],
    ['a size one block beyond the end', entry('a', 'A', { size: '00000001001\0' }), /ends inside "a"/],
    ['a negative size', entry('a', 'A', { size: '-0000000001\0' }), /no number/],
    ['a binary size', entry('a', 'A', { size: '\x80\0\0\0\0\0\0\0\0\0\0\x01' }), /no number/],
    ['no size', entry('a', 'A', { size: '\0' }), /no number/],
    ['noise', Buffer.alloc(2048, 'noise'), /no number/],
    ['an end before the file', Buffer.concat([Buffer.alloc(1024), entry('a', 'A')]), /lacks a$/],
    ['nothing', Buffer.alloc(0), /lacks a$/],
  ];
  for (const [about, archive, expected] of cases) {
    t.match((await fails(t, () => untar(archive, ['a']), ArchiveError, about)).message, expected);
  }
});

// ---- The folder for driver files

test('platform: driver files go to the cache of the user, else to a temporary folder of their own', (t) => {
  const own = '/tmp/limelight-7';
  t.deepEqual(cacheFolders({ XDG_CACHE_HOME: '/c', HOME: '/h' }, '/tmp', 7), ['/c/limelight', own]);
  t.deepEqual(cacheFolders({ HOME: '/h' }, '/tmp', 7), ['/h/.cache/limelight', own]);
  t.deepEqual(cacheFolders({ XDG_CACHE_HOME: 'c', HOME: '/h' }, '/tmp', 7), ['/h/.cache/limelight', own]);
  t.deepEqual(cacheFolders({ XDG_CACHE_HOME: '', HOME: '' }, '/tmp', 7), [own]);
  t.end();
});

const onlyPosix = { skip: process.platform === 'win32' ? 'driver files are kept on Linux only' : false };
const names = ['a.so', 'b.json'];
const some = () =>
  new Map([
    ['a.so', Buffer.from('code')],
    ['b.json', Buffer.from('{}')],
  ]);

test('platform: driver files are written once, for this user alone', onlyPosix, async (t) => {
  const folder = join(temporary(t), 'deep', 'limelight');
  const path = await keepFiles([folder], 'driver-1', names, some);
  t.equal(path, join(folder, 'driver-1'));
  t.equal(readFileSync(join(path, 'a.so'), 'utf8'), 'code');
  for (const made of [folder, path, join(path, 'a.so')]) t.equal(lstatSync(made).mode & 0o077, 0, made);
  const again = await keepFiles([folder], 'driver-1', names, () => {
    throw new Error('asked for the files again');
  });
  t.equal(again, path);
});

test('platform: processes that write the same driver files at once agree', onlyPosix, async (t) => {
  const folder = join(temporary(t), 'limelight');
  const paths = await Promise.all(
    Array.from({ length: 8 }, () => keepFiles([folder], 'driver-1', names, some)),
  );
  t.equal(new Set(paths).size, 1);
  t.deepEqual(readdirSync(folder), ['driver-1'], 'and leave nothing else');
  t.deepEqual(readdirSync(paths[0]!).sort(), ['SHA256SUMS', 'a.so', 'b.json']);
});

test('platform: a folder that others control is passed over', onlyPosix, async (t) => {
  const base = temporary(t);
  const good = join(base, 'good');
  const target = join(base, 'target');
  mkdirSync(target, { mode: 0o700 });
  const at = (name: string) => join(base, name);
  symlinkSync(target, at('link'));
  mkdirSync(at('open'));
  chmodSync(at('open'), 0o777);
  writeFileSync(at('file'), '');
  mkdirSync(at('theirs'));
  const root = process.getuid?.() === 0;
  if (root) chownSync(at('theirs'), 12345, 12345);
  const hostile: [string, string, RegExp][] = [
    ['a link', at('link'), /is a link/],
    ['writable by others', at('open'), /written to by others/],
    ['a file', at('file'), /EEXIST/],
    ['below a file', at('file/x'), /ENOTDIR/],
    ['of another user', root ? at('theirs') : '/', /belongs to user \d+/],
  ];
  for (const [about, folder, reason] of hostile) {
    t.equal(
      await keepFiles([folder, good], 'driver-1', names, some),
      join(good, 'driver-1'),
      `${about}: the next is used`,
    );
    const { message } = await fails(t, () => keepFiles([folder], 'driver-1', names, some), CacheError, about);
    t.match(message, reason);
    t.match(message, /set XDG_CACHE_HOME/);
  }
  t.deepEqual(readdirSync(target), [], 'nothing was written through the link');
});

test('platform: driver files that cannot be made leave nothing behind', onlyPosix, async (t) => {
  const folder = join(temporary(t), 'limelight');
  const broken = () => {
    throw new ArchiveError('broken');
  };
  await fails(t, () => keepFiles([folder], 'driver-1', names, broken), ArchiveError, 'no contents');
  const unwritable = () => new Map([...some(), ['no/such/folder', Buffer.from('x')]]);
  await fails(t, () => keepFiles([folder], 'driver-1', names, unwritable), CacheError, 'the last file fails');
  t.deepEqual(
    readdirSync(join(folder, 'driver-1')).sort(),
    names,
    'no unfinished file, and no word that all are there',
  );
});

test('platform: driver files that are not what they were are made again', onlyPosix, async (t) => {
  const folder = join(temporary(t), 'limelight');
  const path = await keepFiles([folder], 'driver-1', names, some);
  const library = join(path, 'a.so');
  const faults: Readonly<Record<string, () => void>> = {
    'cut short': () => truncateSync(library, 2),
    empty: () => truncateSync(library, 0),
    'another of the same length': () => writeFileSync(library, 'CODE'),
    missing: () => rmSync(library),
    'a link': () => {
      writeFileSync(join(folder, 'elsewhere'), 'code');
      rmSync(library);
      symlinkSync(join(folder, 'elsewhere'), library);
    },
    'writable by others': () => chmodSync(library, 0o777),
    'without checksums': () => rmSync(join(path, 'SHA256SUMS')),
    'with checksums cut short': () => truncateSync(join(path, 'SHA256SUMS'), 10),
    ...(process.getuid?.() === 0 && { 'of another user': () => chownSync(library, 12345, 12345) }),
  };
  for (const [about, harm] of Object.entries(faults)) {
    harm();
    let made = 0;
    const count = () => {
      made++;
      return some();
    };
    for (let again = 0; again < 2; again++) await keepFiles([folder], 'driver-1', names, count);
    t.equal(made, 1, about);
    t.ok(lstatSync(library).isFile(), 'a file');
    t.equal(readFileSync(library, 'utf8'), 'code', 'as it should be');
    t.equal(lstatSync(library).mode & 0o077, 0, 'for this user alone');
  }
});

test(
  'platform: a private folder inside one that everybody may write is passed over',
  onlyPosix,
  async (t) => {
    const open = join(temporary(t), 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    const inside = join(open, 'limelight');
    const refused = () => keepFiles([inside], 'driver-1', names, some);
    t.match((await fails(t, refused, CacheError, 'no sticky bit')).message, /can be written to by everybody/);
    chmodSync(open, 0o1777);
    t.equal(await keepFiles([inside], 'driver-1', names, some), join(inside, 'driver-1'), 'as in /tmp');
  },
);

// ---- Libraries and the environment

test('platform: the environment is put back, whatever happens', async (t) => {
  process.env.LIMELIGHT_TEST_SET = 'before';
  t.teardown(() => delete process.env.LIMELIGHT_TEST_SET);
  const variables = { LIMELIGHT_TEST_SET: 'during', LIMELIGHT_TEST_UNSET: 'during' };
  const seen = () => [process.env.LIMELIGHT_TEST_SET, process.env.LIMELIGHT_TEST_UNSET];
  t.deepEqual(await withEnvironment(variables, async () => seen()), ['during', 'during']);
  t.deepEqual(seen(), ['before', undefined]);
  await fails(
    t,
    () => withEnvironment(variables, () => Promise.reject(new FileError('x'))),
    FileError,
    'a failure',
  );
  t.deepEqual(seen(), ['before', undefined]);
});

test('platform: a library that cannot be loaded is named', async (t) => {
  const file = join(temporary(t), 'libabsent.so');
  t.match((await fails(t, () => loadLibrary(file), Error, 'no such file')).message, /libabsent\.so/);
  writeFileSync(file, 'not a library');
  t.match((await fails(t, () => loadLibrary(file), Error, 'not a library')).message, /libabsent\.so/);
});
