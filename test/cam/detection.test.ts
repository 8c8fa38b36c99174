// Detectors: boxes, scores and their gradients against float64, on random networks as exporters write them.

import test from 'tape';
import { boxesOf, disposeExplanation, explain, observe, type Trace, targets } from '../../cam/index.ts';
import { type Tensor, tensor } from '../../engine/index.ts';
import { readOnnx } from '../../models/formats/onnx/read.ts';
import { disposeNetwork, type Network } from '../../models/network.ts';
import { open } from '../../models/open.ts';
import { device } from '../device.ts';
import { modelBytes } from '../models/onnx-file.ts';
import { CLASSES, pythonDict, SIZE, type Version, versions, yolo } from '../models/yolo.ts';
import {
  type Array64,
  directionalDerivative,
  randomArray,
  relativeError,
  seededRandom,
} from '../reference/index.ts';

const noParts = () => Promise.reject(new Error('no parts are expected'));

/** Score of a class in a box, and the box's x, y, width and height, in an output of either form. */
const readings = {
  v5: ({ shape: [, , width], data }: Array64, box: number) => {
    const line = data.slice(box * width!, (box + 1) * width!);
    return { box: line.slice(0, 4), scores: line.slice(5).map((p) => p * line[4]!) };
  },
  v8: ({ shape: [, rows, count], data }: Array64, box: number) => {
    const line = Float64Array.from({ length: rows! }, (_, row) => data[row * count! + box]!);
    return { box: line.slice(0, 4), scores: line.slice(4) };
  },
  x: ({ shape: [, , width], data }: Array64, box: number) => {
    const line = data.slice(box * width!, (box + 1) * width!);
    // Each grid's cells row by row, the finest grid first.
    const [stride, before] = box < 64 ? [8, 0] : box < 80 ? [16, 64] : [32, 80];
    const cells = SIZE / stride;
    const [column, row] = [(box - before) % cells, Math.floor((box - before) / cells)];
    const [x, y, w, h] = line as unknown as [number, number, number, number];
    const box4 = Float64Array.of(
      (x + column) * stride,
      (y + row) * stride,
      Math.exp(w) * stride,
      Math.exp(h) * stride,
    );
    return { box: box4, scores: line.slice(5).map((p) => p * line[4]!) };
  },
};
type Reading = (output: Array64, box: number) => { box: Float64Array; scores: Float64Array };

/** v8's lines of corners. */
const corners: Reading = (output, box) => {
  const { box: [l, t, r, b], scores } = readings.v8(output, box); // biome-ignore format: one box
  return { box: Float64Array.of((l! + r!) / 2, (t! + b!) / 2, r! - l!, b! - t!), scores };
};
const readingOf: Readonly<Record<Version, Reading>> = {
  ...readings,
  'v7 --end2end': readings.v5,
  'v7 --end2end for TensorRT': readings.v5,
  'v8 nms=True': corners,
  v10: corners,
  'v8 scales': readings.v8,
  'x biases apart': readings.x,
  'x decoded': readings.v5,
};
/** A step of differences that stays between the kinks of the largest of windows. */
const SMALL = 2 ** -18;
const countOf = (version: Version) => (/^v[57]/.test(version) ? 3 : 1) * (64 + 16 + 4);

interface Case {
  readonly network: Network;
  readonly trace: Trace;
  readonly input: Tensor;
  readonly picture: Array64;
  /** The float64 output, with other values of some of the file's nodes. */
  readonly output: (given?: ReadonlyMap<string, Array64>) => Array64;
}

async function withDetector(
  version: Version,
  seed: number,
  use: (one: Case) => Promise<void>,
): Promise<void> {
  const detector = yolo(version, seed);
  const network = await open(await device(), detector.file());
  const picture = randomArray([1, 3, SIZE, SIZE], seededRandom(seed), { low: 0 });
  const input = tensor(network.device, picture.data, picture.shape);
  const trace = observe(network, input, { layers: ['p3', 'p5'] });
  await use({ network, trace, input, picture, output: (given) => detector.output(picture, given) });
  trace.dispose();
  input.dispose();
  disposeNetwork(network);
}

/** Non-maximum suppression by its definition: a box stays unless a surer one that stays covers it. */
function suppressed(
  boxes: readonly { box: Float64Array; scores: Float64Array }[],
  least: number,
  most: number,
) {
  const rest = boxes
    .map(({ box: [x, y, w, h], scores }, proposal) => {
      const score = Math.max(...scores);
      return { proposal, score, k: scores.indexOf(score), l: x! - w! / 2, t: y! - h! / 2, w: w!, h: h! };
    })
    .filter(({ score }) => score >= least)
    .sort((a, b) => a.score - b.score);
  const kept: typeof rest = [];
  for (let next = rest.pop(); next; next = rest.pop()) {
    const { k, l, t, w, h } = next;
    const covers = (other: (typeof rest)[number]) => {
      const across = Math.min(l + w, other.l + other.w) - Math.max(l, other.l);
      const down = Math.min(t + h, other.t + other.h) - Math.max(t, other.t);
      const both = across > 0 && down > 0 ? across * down : 0;
      return both / (w * h + other.w * other.h - both) > most;
    };
    if (!kept.some((other) => other.k === k && covers(other))) kept.push(next);
  }
  return kept;
}

for (const version of versions) {
  const reading = readingOf[version];
  const count = countOf(version);
  test(`${version}: boxes and scores`, async (t) => {
    await withDetector(version, 5, async ({ network, trace, output }) => {
      t.deepEqual(network.classes, CLASSES, 'names from a Python dict');
      t.equal(network.preprocessing.resize, 'pad');
      const lines = output();
      const expected = Array.from({ length: count }, (_, i) => reading(lines, i));
      const { boxes, scores } = network.detection!;
      const given = await trace.outputs[boxes]!.data();
      t.deepEqual(trace.outputs[boxes]!.shape, [1, count, 4]);
      t.ok(
        relativeError(
          given,
          expected.flatMap(({ box }) => [...box]),
        ) < 1e-5,
        'boxes',
      );
      const all = expected.flatMap(({ scores }) => [...scores]);
      t.ok(relativeError(await trace.outputs[scores]!.data(), all) < 1e-5, 'scores');
      const best = CLASSES.map((_, k) => Math.max(...expected.map(({ scores }) => scores[k]!)));
      t.ok(relativeError(await trace.outputs.logits.data(), best) < 1e-5, 'of each class the best');
      t.ok((await trace.predictions()).every(({ probability }) => probability === null));

      for (const [score, overlap] of [
        [0.25, 0.45],
        [0.4, 0.2],
        [0.5, 0.7],
      ] as const) {
        const found = await boxesOf(trace, { score, overlap });
        const truth = suppressed(expected, score, overlap);
        t.deepEqual(
          found.map(({ proposal, classIndex, number }) => [number, proposal, classIndex]),
          truth.map(({ proposal, k }, i) => [i, proposal, k]),
          `${truth.length} boxes`,
        );
        const sides = truth.flatMap(({ l, t: top, w, h }) => [l, top, l + w, top + h]);
        t.ok(
          relativeError(
            found.flatMap(({ edges }) => edges),
            sides,
          ) < 1e-5,
          'edges',
        );
      }
    });
  });

  // What is chosen among lines, or decoded in the file, is differentiated as lines are.
  if (!['v5', 'v8', 'v8 scales', 'x'].includes(version)) continue;
  test(`${version}: the gradient of one box's score`, async (t) => {
    await withDetector(version, 6, async ({ network, trace, output }) => {
      const found = await boxesOf(trace, { score: 0.1 });
      const random = seededRandom(8);
      for (const box of [found[0]!, found.at(-1)!]) {
        for (const layer of ['p3', 'p5']) {
          const a = trace.value(layer);
          const at: Array64 = { shape: a.shape, data: Float64Array.from(await a.data()) };
          const v = randomArray(a.shape, random);
          const score = (x: Array64) =>
            reading(output(new Map([[layer, x]])), box.proposal).scores[box.classIndex]!;
          const expected = directionalDerivative(score, at, v, 1, SMALL);
          const gradient = await trace.at(layer).gradient(targets.box(network, box)).data();
          const slope = v.data.reduce((sum, x, i) => sum + x * gradient[i]!, 0);
          const size = Math.hypot(...gradient) * Math.hypot(...v.data);
          t.ok(
            Math.abs(slope - expected) < 1e-4 * size,
            `box ${box.number} at ${layer}: ${slope} for ${expected}`,
          );
        }
      }
    });
  });
}

test('a class is explained by its best box', async (t) => {
  await withDetector('v8', 7, async ({ network, input, trace }) => {
    const [box] = await boxesOf(trace);
    const options = { methods: ['grad-cam', 'hires-cam'], layer: 'p3', signed: true };
    const ofClass = await explain(network, input, { ...options, classes: [box!.classIndex] });
    const ofBox = await explain(network, input, {
      ...options,
      classes: [box!.classIndex],
      target: (_, detector) => targets.box(detector, box!),
    });
    for (const [i, one] of ofClass.entries()) {
      t.equal(one.className, box!.className);
      t.equal(one.logit, Math.fround(box!.score));
      t.deepEqual(await one.map.data(), await ofBox[i]!.map.data(), one.method);
    }
    for (const one of [...ofClass, ...ofBox]) disposeExplanation(one);
  });
});

test('which outputs are those of detectors', async (t) => {
  const read = (file: Uint8Array, output?: string) => readOnnx(file, 'd.onnx', noParts, { output });
  const unnamed = await read(yolo('v8', 1).file({}));
  t.equal(unnamed.classCount, 3, 'the number of classes from the shape');
  t.equal(unnamed.classes, undefined);
  t.equal((await read(yolo('v5', 1).file({}), 'output0')).classCount, 3);
  const masks = await read(yolo('v8', 1).file({ names: pythonDict(['cat', 'dog']), task: 'segment' }));
  t.equal(masks.classCount, 2, 'what follows the classes is none');
  t.equal((await read(yolo('v5', 1, 'batch').file({ imgsz: `[${SIZE}, ${SIZE}]` }))).anySize, false);

  const broken = async (spec: Parameters<typeof modelBytes>[0]) => {
    const input = { name: 'x', dims: [1, 3, SIZE, SIZE] };
    const file = modelBytes({ inputs: [input], ...spec });
    return read(file).then(
      () => 'read',
      ({ message }: Error) => message,
    );
  };
  t.match(
    await broken({ nodes: [{ op: 'NonMaxSuppression', inputs: ['x', 'x'], outputs: ['y'] }] }),
    /node "y" \(NonMaxSuppression\): what it chooses depends on the picture.* no boxes as YOLO's .* without nms=True/,
    'a choice without boxes in front of it',
  );
  t.match(
    await broken({ nodes: [{ op: 'NonZero', inputs: ['x'], outputs: ['y'] }] }),
    /node "y" \(NonZero\): what it chooses depends on the picture, and nothing behind such a choice can be explained$/,
  );
  const maps = ['y8', 'y16'].map((name) => ({ op: 'Relu', inputs: ['x'], outputs: [name] }));
  const scales =
    /\[1, \d+, \d+, \d+\]\nIf these are the scales of a detector: .* export it with its boxes joined/;
  t.match(await broken({ nodes: maps, outputs: ['y8', 'y16'] }), scales, 'maps of one size');

  const refused = async (version: Version, metadata: Record<string, string>, outputs?: string[]) =>
    read(yolo(version, 1).file(metadata, outputs)).then(
      () => 'read',
      ({ message }: Error) => message,
    );
  t.match(await refused('v8 scales', {}), scales, 'scales of an unknown number of classes');
  const joined = /output "joined" is \[1, 19, 84\] .* all of them and in pixels/;
  t.match(await refused('v8', {}, ['joined']), joined, 'boxes that are not decoded');
  t.match(await refused('v8', { names: pythonDict(CLASSES) }, ['joined']), joined);
  const { remark } = await read(yolo('v8 nms=True', 1, 'batch').file());
  t.equal(remark, 'the choice that it makes among its boxes is left out; all of "output0" are chosen among');
  t.match(
    (await read(yolo('v8 scales', 1).file())).remark!,
    /its 3 outputs are taken as the scales of a YOLO/,
  );
  t.equal((await read(yolo('v10', 1).file({}))).classCount, 3, 'lines in front of a choice, without names');

  /** A file with an output of some shape. */
  const shaped = (...dims: number[]) =>
    modelBytes({
      inputs: [{ name: 'x', dims: [1, 3, SIZE, SIZE] }],
      initializers: [{ name: 'c', dims, data: Array(dims.reduce((a, b) => a * b)).fill(1) }],
      nodes: [
        { op: 'GlobalAveragePool', inputs: ['x'], outputs: ['pooled'] },
        { op: 'ReduceMean', inputs: ['pooled'], outputs: ['mean'], attributes: { axes: [1], keepdims: 0 } },
        { op: 'Mul', inputs: ['mean', 'c'], outputs: ['y'] },
      ],
    });
  for (const [shape, shown] of [
    [[1, 300, 6], /\[1, 300, 6\] for one picture; .* YOLO detector, all of them and in pixels: /],
    [[1, 64, 9], /\[1, 64, 9\]/],
    [[1, 84, 5], /\[1, 84, 5\]/],
    [[1, 4, 84], /\[1, 4, 84\]/],
  ] as const) {
    try {
      await read(shaped(...shape));
      t.fail(`[${shape}] is taken`);
    } catch (error) {
      t.match((error as Error).message, shown);
    }
  }
});
