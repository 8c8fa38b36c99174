// Arrays in place of pictures: signals and pictures of any channels, on the command line and drawn.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'tape';
import { seenOf } from '../../app/image/array.ts';
import { decodeImage } from '../../app/image/decode.ts';
import { channelsFirst } from '../../models/array-input.ts';
import { readNpy, writeNpy } from '../../models/formats/npy.ts';
import { type InputSpec, modelBytes } from '../models/onnx-file.ts';
import {
  conv2d,
  globalAvgPool,
  map,
  matmul,
  randomArray,
  reshape,
  seededRandom,
} from '../reference/index.ts';
import { inFolder, limelight, scene } from './limelight.ts';

const random = seededRandom(41);

/** Convolution, ReLU, mean, three classes: the file, and its logits in float64. */
function network(kernelShape: readonly number[], dims: InputSpec['dims']) {
  const kernel = randomArray(kernelShape, random);
  const last = randomArray([kernelShape[0]!, 3], random);
  const [name, more] = ['x', kernelShape.slice(2)];
  const file = modelBytes({
    nodes: [
      { op: 'Conv', inputs: [name, 'kernel'], outputs: ['c'], attributes: { kernel_shape: more } },
      { op: 'Relu', inputs: ['c'], outputs: ['features'] },
      { op: 'GlobalAveragePool', inputs: ['features'], outputs: ['g'] },
      { op: 'Flatten', inputs: ['g'], outputs: ['f'] },
      { op: 'MatMul', inputs: ['f', 'last'], outputs: ['y'] },
    ],
    initializers: [
      { name: 'kernel', dims: kernel.shape, data: [...kernel.data] },
      { name: 'last', dims: last.shape, data: [...last.data] },
    ],
    inputs: [{ name, dims }],
  });
  const logits = (x: ReturnType<typeof randomArray>) => {
    const [o, c, ...size] = kernelShape as [number, number, ...number[]];
    const w = reshape(kernel, [o, c, ...(size.length === 1 ? [1] : []), ...size]);
    const features = map(conv2d(x, w), (value) => Math.max(0, value));
    return matmul(reshape(globalAvgPool(features), [1, o]), last).data;
  };
  return { file, logits };
}

test('arrays are explained on the command line as pictures are', async (t) => {
  await inFolder(async (folder) => {
    const path = (name: string) => join(folder, name);
    const cases = {
      signal: { ...network([4, 2, 5], ['N', 2, 'L']), shape: [1, 2, 1, 60], as: [60, 2], map: [1, 56] },
      five: {
        ...network([4, 5, 3, 3], [1, 5, 12, 16]),
        shape: [1, 5, 12, 16],
        as: [5, 12, 16],
        map: [10, 14],
      },
    };
    for (const [name, { file, logits, shape, as, map: size }] of Object.entries(cases)) {
      const x = randomArray(shape, random);
      // The signal lies in its file with its channels last.
      const [c, l] = [shape[1]!, shape[3]!];
      const stored =
        name === 'signal' ? Array.from(x.data, (_, i) => x.data[(i % c) * l + Math.floor(i / c)]!) : x.data;
      writeFileSync(path(`${name}.onnx`), file);
      writeFileSync(path(`${name}.npy`), writeNpy(as, Float32Array.from(stored)));
      const ended = limelight(
        ...['explain', path(`${name}.npy`), '--model', path(`${name}.onnx`), '--method', 'grad-cam'],
        ...['--class', '1', '--raw', '--json', '--out', folder],
      );
      t.equal(ended.status, 0, ended.stderr);
      t.notOk(/value \/ 255/.test(ended.stderr), 'nothing is said of pixels');
      const said = JSON.parse(ended.stdout);
      t.ok(Math.abs(said.logit - logits(x)[1]!) < 1e-4, `${name}: logit ${said.logit}`);
      t.deepEqual(readNpy(readFileSync(said.files.map), 'map').shape, size);
      const { width, height } = await decodeImage(readFileSync(said.files.overlay));
      t.ok(width > 300 && height > 200, `${name}: drawn, ${width} x ${height}`);
    }
    for (const [image, model, message] of [
      [scene, 'signal', /scene-1\.png: the network takes a signal, no picture: give an array \[2, L\]/],
      [scene, 'five', /scene-1\.png: the network takes 5 channels, a picture has 3/],
      [
        path('signal.npy'),
        'five',
        /signal\.npy: an array \[60, 2\] is given for a picture \[5, 12, 16\], or \[12, 16, 5\]/,
      ],
    ] as const) {
      const ended = limelight('predict', image, '--model', path(`${model}.onnx`));
      t.equal(ended.status, 1);
      t.match(ended.stderr, message);
    }
    t.match(limelight('inspect', path('signal.onnx')).stdout, /a signal of 2 channels \(\.npy\), as it is/);
  });
});

test('an array as the network takes it', (t) => {
  const data = Float32Array.from({ length: 24 }, (_, i) => i);
  const first = (shape: readonly number[], taken: Parameters<typeof channelsFirst>[0]) =>
    channelsFirst(taken, {
      shape,
      data: data.subarray(
        0,
        shape.reduce((product, n) => product * n, 1),
      ),
    });
  const signal = { channels: 2, signal: true };
  t.deepEqual(first([2, 3], signal), { shape: [2, 1, 3], data: data.slice(0, 6) });
  t.deepEqual(first([3, 2], signal), { shape: [2, 1, 3], data: Float32Array.of(0, 2, 4, 1, 3, 5) });
  t.deepEqual(first([1, 2, 3], signal).shape, [2, 1, 3]);
  t.deepEqual(first([1, 2, 1, 3], signal).shape, [2, 1, 3]);
  t.deepEqual(first([5], { channels: 1, signal: true }).shape, [1, 1, 5]);
  t.deepEqual(first([2, 3, 4], { channels: 2 }), { shape: [2, 3, 4], data });
  t.deepEqual([...first([3, 4, 2], { channels: 2, size: [3, 4] }).data.subarray(0, 3)], [0, 2, 4]);
  t.deepEqual(first([3, 4], { channels: 1 }).shape, [1, 3, 4]);
  t.throws(
    () => first([2, 3], { channels: 4, signal: true }),
    /an array \[2, 3\] .* a signal \[4, any\], or \[any, 4\]/,
  );
  t.throws(() => first([2, 3, 4], { channels: 2, size: [3, 5] }), /not scaled or cropped/);
  t.throws(() => first([2, 2, 3], signal), /an array \[2, 2, 3\]/, 'two at once');
  t.throws(
    () => channelsFirst({ channels: 1 }, { shape: [1, 2], data: Float32Array.of(0, Number.NaN) }),
    /holds NaN, at position 1/,
  );
  t.end();
});

test('arrays as they are drawn', (t) => {
  const drawn = (preprocessing: { channels: number; signal?: boolean }, shape: number[], values: number[]) =>
    seenOf(
      { preprocessing: { scale: 1, mean: [0], std: [1], ...preprocessing } },
      { shape, data: Float32Array.from(values) },
    );
  t.deepEqual([...drawn({ channels: 1 }, [2, 1], [-1, 3]).rgb], [0, 0, 0, 255, 255, 255], 'grey');
  t.deepEqual(
    [...drawn({ channels: 3 }, [3, 2, 1], [0, 4, 1, 2, 4, 0]).rgb],
    [0, 64, 255, 255, 128, 0],
    'colours',
  );
  t.deepEqual([...drawn({ channels: 2 }, [2, 2, 1], [0, 2, 0, 2]).rgb], [0, 0, 0, 255, 255, 255], 'the mean');
  const { width, height, rgb } = drawn({ channels: 1, signal: true }, [3], [0, 1, 0]);
  const inkIn = (x: number) => [...Array(height).keys()].filter((y) => rgb[3 * (y * width + x)]! < 255);
  const [left, middle] = [inkIn(width / 6), inkIn(width / 2)];
  t.ok(middle.at(-1)! < height / 4 && left[0]! > (3 * height) / 4, 'a curve: low, high, low');
  t.ok(
    [...Array(width).keys()].every((x) => inkIn(x).length > 0),
    'without gaps',
  );
  const spike = drawn(
    { channels: 1, signal: true },
    [10_000],
    Array.from({ length: 10_000 }, (_, i) => Number(i === 5003)),
  );
  const x = Math.floor((5003.5 / 10_000) * spike.width);
  t.ok(
    spike.rgb[3 * (Math.round(spike.height / 8) * spike.width + x)]! < 255,
    'one step of thousands is seen',
  );
  t.end();
});
