// The README's examples of the library, run as they stand there.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import test from 'tape';
import { decodePng } from '../app/image/decode.ts';
import { modelBytes } from './models/onnx-file.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const library = new URL('../index.ts', import.meta.url).href;

/** The entry points of the package, as they are in this repository. */
const entries = {
  limelight: library,
  'limelight/pictures': new URL('../app/pictures.node.ts', import.meta.url).href,
};

const blocks = [...readme.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code]) =>
  Object.entries(entries).reduce((text, [name, href]) => text.replaceAll(`'${name}'`, `'${href}'`), code!),
);
/** The first example is a whole program, with files of its user's. */
const whole = blocks.shift()!;
const isTest = (code: string) => /^import .*test.*from/m.test(code);

test("the README's examples of the library run", async (t) => {
  const examples = blocks.filter((code) => !isTest(code));
  t.equal(examples.length, 2, 'one explains, one shows a theorem with its network and input');
  const folder = mkdtempSync(join(tmpdir(), 'limelight-readme-'));
  try {
    const file = join(folder, 'example.mts');
    const picture =
      'const rgb = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * 2654435761) >>> 24);';
    writeFileSync(file, `${picture}\n${examples.join('\n')}\nexport { found, cam, gradCam, z, w, g };\n`);
    const { found, w, g, z } = (await import(pathToFileURL(file).href)) as {
      found: { className: string; map: { shape: number[] } };
      w: Float32Array;
      g: Float32Array;
      z: number;
    };
    t.equal(found.className, '7');
    t.deepEqual(found.map.shape, [16, 16]);
    const largest = Math.max(...w.map(Math.abs));
    t.ok(Math.max(...w.map((wk, k) => Math.abs(wk - z * g[k]!))) < 1e-6 * largest, 'Z x Grad-CAM = CAM');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the README's first example makes an overlay of an ONNX file's network", (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-readme-'));
  try {
    const write = (name: string, bytes: string | Uint8Array) => writeFileSync(join(folder, name), bytes);
    write('example.mts', whole);
    write('photo.jpg', readFileSync(new URL('../models/images/mosaic-2x2.png', import.meta.url)));
    // Two channels, which two classes take with different weights.
    write(
      'network.onnx',
      modelBytes({
        inputs: [{ name: 'x', dims: [1, 3, 224, 224] }],
        initializers: [
          { name: 'w', dims: [2, 3, 8, 8], data: Array.from({ length: 384 }, (_, i) => Math.sin(i)) },
          { name: 'k', dims: [2, 2], data: [1, -1, 2, 0.5] },
        ],
        nodes: [
          { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { strides: [8, 8] } },
          { op: 'Relu', inputs: ['c'], outputs: ['r'] },
          { op: 'GlobalAveragePool', inputs: ['r'], outputs: ['g'] },
          { op: 'Flatten', inputs: ['g'], outputs: ['f'] },
          { op: 'Gemm', inputs: ['f', 'k'], outputs: ['y'], attributes: { transB: 1 } },
        ],
        outputs: ['y'],
      }),
    );
    const flags = ['--conditions=source', '--import', import.meta.resolve('tsx'), 'example.mts'];
    const { status, stdout, stderr } = spawnSync(process.execPath, flags, { cwd: folder, encoding: 'utf8' });
    t.equal(status, 0, stderr);
    t.match(stdout, /^1 \S+$/m, 'the class of the larger weights');
    const { width, height } = decodePng(readFileSync(join(folder, 'overlay.png')));
    t.ok(width > 224 && height > 320, `a picture of ${width} x ${height}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
  t.end();
});

test("the README's examples of tests pass", (t) => {
  const examples = blocks.filter(isTest);
  t.equal(examples.length, 2, "one of tape, one of Node's runner");
  // Here, so that the packages of this repository are found.
  const folder = mkdtempSync(fileURLToPath(new URL('example-', import.meta.url)));
  try {
    examples.forEach((code, i) => {
      const file = join(folder, `${i}.mts`);
      writeFileSync(file, code);
      const flags = ['--conditions=source', '--import', 'tsx'];
      const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, file], { encoding: 'utf8' });
      t.equal(status, 0, stderr);
      t.match(stdout, /^# pass +[1-9]/m);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
  t.end();
});
