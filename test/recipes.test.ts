// The TypeScript of recipes.md, run as it stands there, on small networks in the form in which each tool writes them.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'tape';
import { encodePng } from '../app/image/decode.ts';
import { functional, h5File, tfjsFiles, weightsOf } from './models/keras-fixtures.ts';
import { modelBytes } from './models/onnx-file.ts';
import { yolo } from './models/yolo.ts';
import { seededRandom } from './reference/index.ts';

const page = readFileSync(new URL('../recipes.md', import.meta.url), 'utf8');
const code = [...page.matchAll(/^```ts\n([\s\S]*?)^```/gm)]
  .map(([, block]) => block!)
  .join('\n')
  .replaceAll("'limelight'", `'${new URL('../index.ts', import.meta.url).href}'`)
  .replaceAll("'limelight/pictures'", `'${new URL('../app/pictures.node.ts', import.meta.url).href}'`);

/** A picture of chance. */
function noise(width: number, height: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  return encodePng({
    width,
    height,
    rgb: Uint8Array.from({ length: 3 * width * height }, () => 256 * random()),
  });
}

const wave = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(i + 1));

const keras = functional(
  [32, 32, 3],
  [
    {
      class: 'Conv2D',
      name: 'conv',
      config: {
        filters: 4,
        kernel_size: [3, 3],
        strides: [2, 2],
        padding: 'same',
        activation: 'relu',
        use_bias: true,
      },
    },
    { class: 'GlobalAveragePooling2D', name: 'gap' },
    { class: 'Dense', name: 'dense', config: { units: 2, activation: 'softmax', use_bias: true } },
  ],
);
const weights = weightsOf({
  'conv/kernel': [3, 3, 3, 4],
  'conv/bias': [4],
  'dense/kernel': [4, 2],
  'dense/bias': [2],
});

test('recipes.md runs from the first line to the last', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limelight-recipes-'));
  try {
    const write = (name: string, bytes: string | Uint8Array) => writeFileSync(join(folder, name), bytes);
    write('recipes.mts', code);
    write('photo.jpg', noise(50, 40, 1));
    write('street.png', noise(120, 80, 3));
    write(
      'network.onnx',
      modelBytes({
        inputs: [{ name: 'x', dims: [1, 3, 224, 224] }],
        initializers: [
          { name: 'w', dims: [2, 3, 8, 8], data: wave(384) },
          { name: 'v', dims: [2, 2, 2, 2], data: wave(16) },
          { name: 'k', dims: [2, 2], data: [1, -1, 2, 0.5] },
        ],
        nodes: [
          { op: 'Conv', inputs: ['x', 'w'], outputs: ['c'], attributes: { strides: [8, 8] } },
          { op: 'Relu', inputs: ['c'], outputs: ['r'] },
          { op: 'Conv', inputs: ['r', 'v'], outputs: ['d'], attributes: { strides: [2, 2] } },
          { op: 'Relu', inputs: ['d'], outputs: ['s'] },
          { op: 'GlobalAveragePool', inputs: ['s'], outputs: ['g'] },
          { op: 'Flatten', inputs: ['g'], outputs: ['f'] },
          { op: 'Gemm', inputs: ['f', 'k'], outputs: ['y'], attributes: { transB: 1 } },
        ],
        outputs: ['y'],
      }),
    );
    write('model.h5', await h5File(keras, weights));
    const { root, shard } = tfjsFiles(keras, weights);
    const weightsManifest = root.weightsManifest.map((one) => ({ ...one, paths: ['weights.bin'] }));
    write('model.json', JSON.stringify({ ...root, weightsManifest }));
    write('weights.bin', shard);
    write('metadata.json', JSON.stringify({ labels: ['hand', 'no hand'], imageSize: 32 }));
    write('yolo.onnx', yolo('v8', 5).file());
    const flags = ['--conditions=source', '--import', import.meta.resolve('tsx'), 'recipes.mts'];
    const { status, stderr } = spawnSync(process.execPath, flags, { cwd: folder, encoding: 'utf8' });
    t.equal(status, 0, stderr);
    const made = readdirSync(folder).filter((name) => code.includes(`writeFileSync('${name}'`));
    t.deepEqual(made.sort(), ['keras.png', 'pytorch.png', 'teachable.png', 'timm.png', 'yolo.png']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
