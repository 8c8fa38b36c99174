// F-CAM's decoders on the engine against float64 on the host, and what they find.

import { readFileSync } from 'node:fs';
import test from 'tape';
import { decodePng } from '../../app/image/decode.ts';
import { disposeExplanation, explain, MethodError, methods, observe } from '../../cam/index.ts';
import type { Tensor } from '../../engine/index.ts';
import {
  catalogEntry,
  disposeNetwork,
  open,
  type Pixels,
  preprocess,
  readSafetensors,
} from '../../models/index.ts';
import { device } from '../device.ts';
import * as float64 from '../reference/index.ts';

type Array64 = float64.Array64;

const images = new URL('../../models/images/', import.meta.url);
interface Digit {
  readonly class: string;
  readonly box: readonly [number, number, number, number];
}
const scenes = JSON.parse(readFileSync(new URL('scenes.json', images), 'utf8')) as {
  file: string;
  digits: Digit[];
}[];

function blacken({ rgb, width }: Pixels, [x0, y0, x1, y1]: Digit['box']): void {
  for (let y = y0; y < y1; y++) rgb.fill(0, 3 * (y * width + x0), 3 * (y * width + x1));
}

const picture = () => decodePng(readFileSync(new URL('scene-1.png', images)));
const toArray = async (x: Tensor) => float64.array(x.shape, await x.data());

/** [2, H, W] from the coarse and the fine feature map, layer by layer as the state dict names them. */
function decode(name: string, coarse: Array64, fine: Array64, lastSeesCoarse: boolean): Array64 {
  const { tensors } = readSafetensors(
    readFileSync(catalogEntry('digit-scenes').decoders![name]!.weights),
    name,
  );
  const p = (key: string) => float64.array(tensors.get(key)!.shape, tensors.get(key)!.data);
  const padding = [1, 1, 1, 1] as const;
  const block = (x: Array64, of: string) => {
    const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((key) =>
      p(`${of}.norm.${key}`),
    );
    const y = float64.conv2d(x, p(`${of}.conv.weight`), { padding });
    return float64.unary.relu(float64.batchNorm(y, mean!, variance!, gamma!, beta!));
  };
  const [, , h, w] = fine.shape as [number, number, number, number];
  const skip = float64.concat([float64.resizeBilinear(coarse, [h, w], false), fine], 1);
  const half = block(block(skip, 'decode1.0'), 'decode1.1');
  const full = float64.resizeBilinear(half, [2 * h, 2 * w], false);
  const last = block(block(full, 'decode2.0'), 'decode2.1');
  const seen = lastSeesCoarse
    ? float64.concat([last, float64.resizeBilinear(coarse, [2 * h, 2 * w], false)], 1)
    : last;
  return float64.conv2d(seen, p('scores.weight'), { padding }, p('scores.bias'));
}

for (const [height, width] of [
  [64, 64],
  [45, 54],
] as const) {
  test(`a picture of ${width} x ${height}: the decoder's scores and map, in float64`, async (t) => {
    const network = await open(await device(), 'digit-scenes', {
      preprocessing: { size: [height, width], resize: [height, width] },
    });
    const input = preprocess(network, picture());
    const trace = observe(network, input);
    const [stage1, features] = await Promise.all(['stage1', 'features'].map((n) => toArray(trace.value(n))));
    const [one, ofClass, cam] = await explain(trace, {
      methods: ['f-cam', 'f-cam-class', 'cam'],
      classes: ['7'],
    });
    const c = await cam!.map.data();
    const [low, high] = [Math.min(...c), Math.max(...c)];
    const unit = float64.array(
      [1, 1, ...cam!.map.shape],
      c.map((value) => (value - low) / (high - low)),
    );
    for (const [found, z] of [
      [one!, decode('f-cam', features!, stage1!, false)],
      [ofClass!, decode('f-cam-class', unit, stage1!, true)],
    ] as const) {
      const terms = methods.get(found.method)!.terms;
      t.deepEqual(found.terms.map(({ symbol }) => symbol).sort(), Object.keys(terms).sort(), found.method);
      const scores = found.terms.find(({ symbol }) => symbol === 'z')!.tensor;
      t.deepEqual(scores.shape, z.shape);
      const error = float64.relativeError(await scores.data(), z.data);
      t.ok(error < 1e-4, `scores, error ${error.toExponential(1)}`);
      const [m] = [float64.slice(float64.softmax(z, 1), [0, 1, 0, 0], [1, 2, ...z.shape.slice(2)])];
      const gap = float64.relativeError(await found.map.data(), m!.data);
      t.ok(gap < 1e-4, `map, error ${gap.toExponential(1)}`);
      t.deepEqual(found.upsampled.shape, [height, width]);
      disposeExplanation(found);
    }
    disposeExplanation(cam!);
    trace.dispose();
    input.dispose();
    disposeNetwork(network);
  });
}

test('of several digits the class that is asked for is outlined', async (t) => {
  const network = await open(await device(), 'digit-scenes');
  for (const { file, digits } of scenes) {
    const input = preprocess(network, decodePng(readFileSync(new URL(file, images))));
    const classes = digits.map((digit) => digit.class);
    for (const found of await explain(network, input, { methods: ['f-cam-class'], classes })) {
      const [x0, y0, x1, y1] = digits.find((digit) => digit.class === found.className)!.box;
      const map = await found.map.data();
      const peak = map.indexOf(map.reduce((a, b) => Math.max(a, b)));
      const [x, y] = [peak % 64, Math.floor(peak / 64)];
      t.ok(x0 <= x && x < x1 && y0 <= y && y < y1, `${file}, ${found.className}: the peak is at ${x}, ${y}`);
      disposeExplanation(found);
    }
    input.dispose();
  }
  disposeNetwork(network);
});

test('F-CAM is the same for every class, and says so', async (t) => {
  const network = await open(await device(), 'digit-scenes');
  const input = preprocess(network, picture());
  const found = await explain(network, input, { methods: ['f-cam'], classes: ['0', '1'] });
  const [a, b] = await Promise.all(found.map(({ map }) => map.data()));
  t.deepEqual(a, b);
  t.match(found[0]!.notes.join(), /does not look at the class/);
  found.forEach(disposeExplanation);
  input.dispose();
  disposeNetwork(network);
});

test('the foreground of a scene with one digit is on the digit', async (t) => {
  const network = await open(await device(), 'digit-scenes');
  for (const { file, digits } of scenes) {
    const picture = decodePng(readFileSync(new URL(file, images)));
    const [{ box }, ...others] = digits as [Digit, ...Digit[]];
    for (const other of others) blacken(picture, other.box);
    const input = preprocess(network, picture);
    const [found] = await explain(network, input, { methods: ['f-cam'] });
    const map = await found!.map.data();
    const inside = (i: number) => {
      const [x, y] = [i % 64, Math.floor(i / 64)];
      return x >= box[0] && x < box[2] && y >= box[1] && y < box[3];
    };
    const [within, all] = [
      map.reduce((sum, one, i) => sum + (inside(i) ? one : 0), 0),
      map.reduce((a, b) => a + b),
    ];
    t.ok(within > 0.5 * all, `${file}: ${((100 * within) / all).toFixed(0)} % in the box of the digit`);
    t.ok(inside(map.indexOf(map.reduce((a, b) => Math.max(a, b)))), 'the peak is');
    disposeExplanation(found!);
    input.dispose();
  }
  disposeNetwork(network);
});

test('where no decoder is shipped, it is said; of weights that a user brings too', async (t) => {
  const { weights } = catalogEntry('digit-scenes');
  for (const [source, name] of [
    ['cifar10-gap', 'cifar10-gap'],
    [new Uint8Array(readFileSync(weights!)), 'digit-scenes'],
  ] as const) {
    const network = await open(await device(), source);
    const input = preprocess(network, picture());
    try {
      await explain(network, input, { methods: ['f-cam'] });
      t.fail('explained');
    } catch (error) {
      t.ok(error instanceof MethodError);
      t.match(
        String(error),
        new RegExp(`f-cam needs a decoder.*none is shipped for ${name}.*digit-scenes, opened by`),
      );
    }
    input.dispose();
    disposeNetwork(network);
  }
});
