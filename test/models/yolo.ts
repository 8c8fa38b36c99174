// Detectors of the YOLO family, small and random, as their exporters write them: written as ONNX files, and computed in
// float64 by the references of the tests.

import {
  type Array64,
  array,
  binary,
  concat,
  conv2d,
  filled,
  map,
  maxPool2d,
  randomArray,
  reshape,
  resizeNearest,
  seededRandom,
  slice,
  softmax,
  transpose,
} from '../reference/index.ts';
import { type ModelSpec, modelBytes, type NodeSpec, type TensorSpec } from './onnx-file.ts';

export const CLASSES = ['cat', "potter's dog", 'zebra'];
export const SIZE = 64;
const STRIDES = [8, 16, 32];

interface Value extends Array64 {
  readonly name: string;
}

/** Each call writes one operator and computes it. `given` are values to be taken in place of those that are computed. */
function writer(seed: number, given: ReadonlyMap<string, Array64>) {
  const random = seededRandom(seed);
  const nodes: NodeSpec[] = [];
  const initializers: TensorSpec[] = [];
  let count = 0;
  const constant = (value: Array64, type = 1): Value => {
    const name = `c${count++}`;
    initializers.push({ name, dims: value.shape, type, data: [...value.data] });
    return { ...value, name };
  };
  const whole = (...values: number[]) => constant(array([values.length], values), 7);
  const op = (
    operator: string,
    inputs: readonly Value[],
    computed: Array64,
    attributes: NodeSpec['attributes'] = {},
    name = `/v${count++}/${operator}_output_0`,
  ): Value => {
    nodes.push({ op: operator, inputs: inputs.map((one) => one.name), outputs: [name], attributes });
    return { ...(given.get(name) ?? computed), name };
  };
  const sigmoid = (x: Value, name?: string) =>
    op(
      'Sigmoid',
      [x],
      map(x, (v) => 1 / (1 + Math.exp(-v))),
      {},
      name,
    );
  const arithmetic =
    (operator: 'Add' | 'Sub' | 'Mul' | 'Div' | 'Pow') => (a: Value, b: Value, name?: string) =>
      op(operator, [a, b], binary[operator.toLowerCase() as 'add'](a, b), {}, name);
  const mul = arithmetic('Mul');
  /** A convolution; its bias may be an operator of its own behind it. */
  const conv = (x: Value, out: number, kernel: number, stride = 1, spread = 3, isApart = false) => {
    const fan = x.shape[1]! * kernel * kernel;
    const bound = spread / Math.sqrt(fan);
    const w = randomArray([out, x.shape[1]!, kernel, kernel], random, { low: -bound, high: bound });
    const b = randomArray([out], random, { low: -0.2, high: 0.2 });
    const p = (kernel - 1) / 2;
    const options = { stride: [stride, stride], padding: [p, p, p, p] } as const;
    const attributes = { strides: options.stride, pads: options.padding, kernel_shape: [kernel, kernel] };
    if (isApart) {
      const y = op('Conv', [x, constant(w)], conv2d(x, w, options), attributes);
      return arithmetic('Add')(y, constant(reshape(b, [1, out, 1, 1])));
    }
    return op('Conv', [x, constant(w), constant(b)], conv2d(x, w, options, b), attributes);
  };
  return {
    nodes,
    initializers,
    constant,
    mul,
    sigmoid,
    conv,
    /** A node that is written and not computed: what comes behind what the tests look at. */
    behind(
      operator: string,
      inputs: readonly string[],
      attributes: NodeSpec['attributes'] = {},
      domain = '',
    ) {
      const name = `/b${count++}/${operator}_output_0`;
      nodes.push({ op: operator, inputs, outputs: [name], attributes, domain });
      return name;
    },
    whole,
    exp: (x: Value) => op('Exp', [x], map(x, Math.exp)),
    add: arithmetic('Add'),
    sub: arithmetic('Sub'),
    div: arithmetic('Div'),
    pow: arithmetic('Pow'),
    /** Convolution, batch norm folded, and SiLU. */
    block(x: Value, out: number, kernel: number, stride = 1, name?: string): Value {
      const y = conv(x, out, kernel, stride);
      return mul(y, sigmoid(y), name);
    },
    concat: (parts: readonly Value[], axis: number, name?: string) =>
      op('Concat', parts, concat(parts, axis), { axis }, name),
    split(x: Value, axis: number, sizes: readonly number[]): Value[] {
      const names = sizes.map((_, i) => `/s${count++}/Split_output_${i}`);
      nodes.push({
        op: 'Split',
        inputs: [x.name, whole(...sizes).name],
        outputs: names,
        attributes: { axis },
      });
      let at = 0;
      return sizes.map((size, i) => {
        const [starts, ends] = [x.shape.map(() => 0), [...x.shape]];
        starts[axis] = at;
        at += size;
        ends[axis] = at;
        return { ...slice(x, starts, ends), name: names[i]! };
      });
    },
    pool: (x: Value) =>
      op('MaxPool', [x], maxPool2d(x, { kernel: [5, 5], stride: [1, 1], padding: [2, 2, 2, 2] }), {
        kernel_shape: [5, 5],
        strides: [1, 1],
        pads: [2, 2, 2, 2],
      }),
    twice(x: Value): Value {
      const scales = constant(array([4], [1, 1, 2, 2]));
      const [, , h, w] = x.shape as [number, number, number, number];
      const none: Value = { shape: [0], data: new Float64Array(), name: '' };
      return op('Resize', [x, none, scales], resizeNearest(x, [2 * h, 2 * w]), {
        mode: 'nearest',
        nearest_mode: 'floor',
        coordinate_transformation_mode: 'asymmetric',
      });
    },
    reshape(x: Value, ...shape: number[]): Value {
      const known = shape.reduce((product, n) => (n < 0 ? product : product * n), 1);
      const full = shape.map((n) => (n < 0 ? x.data.length / known : n));
      return op('Reshape', [x, whole(...shape)], reshape(x, full));
    },
    transpose: (x: Value, perm: number[], name?: string) =>
      op('Transpose', [x], transpose(x, perm), { perm }, name),
    softmax: (x: Value, axis: number) => op('Softmax', [x], softmax(x, axis), { axis }),
    /** A sum along axis 1 with whole weights, written as a 1 x 1 convolution as Ultralytics' DFL is. */
    expected(x: Value): Value {
      const w = array([1, x.shape[1]!, 1, 1], [...Array(x.shape[1]!).keys()]);
      return op('Conv', [x, constant(w)], conv2d(x, w), { kernel_shape: [1, 1] });
    },
  };
}

type Writer = ReturnType<typeof writer>;

/** Backbone and neck: a feature map of each stride. */
function features(w: Writer, picture: Value): Value[] {
  const stem = w.block(picture, 4, 3, 2);
  const second = w.block(stem, 6, 3, 2);
  const third = w.block(second, 8, 3, 2);
  const [kept, worked] = w.split(third, 1, [4, 4]) as [Value, Value];
  const p3 = w.block(w.concat([kept, worked, w.add(worked, w.block(worked, 4, 3))], 1), 8, 1, 1, 'p3');
  const p4 = w.block(p3, 8, 3, 2);
  const deep = w.block(p4, 8, 3, 2);
  const pooled = w.pool(deep);
  const p5 = w.block(w.concat([deep, pooled, w.pool(pooled)], 1), 8, 1, 1, 'p5');
  const n4 = w.block(w.concat([w.twice(p5), p4], 1), 8, 3);
  const n3 = w.block(w.concat([w.twice(n4), p3], 1), 8, 3);
  const d4 = w.block(w.concat([w.block(n3, 8, 3, 2), n4], 1), 8, 3);
  const d5 = w.block(w.concat([w.block(d4, 8, 3, 2), p5], 1), 8, 3);
  return [n3, d4, d5];
}

/** Centres of the cells of a grid, as x and y in cells [2, cells]. */
const centres = (cells: number): number[][] => [
  Array.from({ length: cells * cells }, (_, i) => (i % cells) + 0.5),
  Array.from({ length: cells * cells }, (_, i) => Math.floor(i / cells) + 0.5),
];

const BINS = 4;

/** The outputs of v8's scales, [1, 4 * bins + classes, cells, cells]. */
const scalesV8 = (w: Writer, maps: readonly Value[]): Value[] =>
  maps.map((x) => w.concat([w.conv(x, 4 * BINS, 1), w.conv(w.block(x, 8, 3), CLASSES.length, 1, 1, 5)], 1));

/** [1, 4 + classes, boxes], as v8 and v11: distances to the sides as means over bins. */
function linesV8(w: Writer, scales: readonly Value[], asCorners = false): Value {
  const all = w.concat(
    scales.map((both) => w.reshape(both, 1, 4 * BINS + CLASSES.length, -1)),
    2,
    'joined',
  );
  const [box, ofClasses] = w.split(all, 1, [4 * BINS, CLASSES.length]) as [Value, Value];
  const count = all.shape[2]!;
  const likely = w.softmax(w.transpose(w.reshape(box, 1, 4, BINS, count), [0, 2, 1, 3]), 1);
  const sides = w.reshape(w.expected(likely), 1, 4, count);
  const [before, after] = w.split(sides, 1, [2, 2]) as [Value, Value];
  const grids = scales.map((x) => centres(x.shape[2]!));
  const anchors = w.constant(
    array(
      [1, 2, count],
      [0, 1].flatMap((axis) => grids.flatMap((grid) => grid[axis]!)),
    ),
  );
  const [low, high] = [w.sub(anchors, before), w.add(anchors, after)];
  const centre = w.div(w.add(low, high), w.constant(array([], [2])));
  const strides = scales.flatMap((x, i) => Array(x.shape[2]! ** 2).fill(STRIDES[i]!));
  const numbers = asCorners ? [low, high] : [centre, w.sub(high, low)];
  const boxes = w.mul(w.concat(numbers, 1), w.constant(array([1, count], strides)));
  return w.concat([boxes, w.sigmoid(ofClasses)], 1, 'output0');
}

/** What a head writes: the file's outputs, and the lines of its boxes. */
interface Written {
  readonly outputs: readonly string[];
  readonly lines: Value;
}

const plain = (lines: Value): Written => ({ outputs: [lines.name], lines });

/** The choice behind v8's lines as Ultralytics' `nms=True` writes it; boxes are corners there. */
function chosenV8(w: Writer, lines: Value): Written {
  const turned = w.behind('Transpose', [lines.name], { perm: [0, 2, 1] });
  const part = (from: number, to: number) =>
    w.behind('Slice', [turned, ...[from, to, 2].map((n) => w.whole(n).name)]);
  const [box, ofClasses] = [part(0, 4), part(4, 4 + CLASSES.length)];
  const score = w.behind('ReduceMax', [ofClasses], { axes: [2], keepdims: 0 });
  const label = w.behind('ArgMax', [ofClasses], { axis: 2, keepdims: 0 });
  const isSure = w.behind('Greater', [score, w.constant(array([], [0.25])).name]);
  const sure = w.behind('Transpose', [w.behind('NonZero', [isSure])], { perm: [1, 0] });
  const [boxes, scores, labels] = [box, score, label].map((name) => w.behind('GatherND', [name, sure]));
  const raised = w.behind('Unsqueeze', [w.behind('Cast', [labels!], { to: 1 }), w.whole(1).name]);
  const apart = w.behind('Unsqueeze', [w.behind('Add', [boxes!, raised]), w.whole(0).name]);
  const kept = w.behind('NonMaxSuppression', [
    apart,
    w.behind('Unsqueeze', [scores!, w.whole(0, 1).name]),
    w.whole(300).name,
  ]);
  return { outputs: [w.behind('Gather', [boxes!, w.behind('Gather', [kept, w.whole(2).name])])], lines };
}

/** The best boxes behind lines, as v10 and networks like it take them, without suppression. */
function bestV10(w: Writer, lines: Value): Written {
  const turned = w.behind('Transpose', [lines.name], { perm: [0, 2, 1] });
  const score = w.behind('ReduceMax', [turned], { axes: [2], keepdims: 0 });
  const best = w.behind('Unsqueeze', [w.behind('TopK', [score, w.whole(20).name]), w.whole(2).name]);
  return { outputs: [w.behind('GatherElements', [turned, best], { axis: 1 })], lines };
}

/** The choice behind v5's and v7's lines, as v7's `--end2end` writes it, for ONNX Runtime or for TensorRT. */
function chosenV7(w: Writer, lines: Value, isForTensorRt = false): Written {
  const part = (from: number, to: number) =>
    w.behind('Slice', [lines.name, ...[from, to, 2].map((n) => w.whole(n).name)]);
  const score = w.behind('Mul', [part(5, 5 + CLASSES.length), part(4, 5)]);
  if (isForTensorRt) {
    const attributes = { box_coding: 1, max_output_boxes: 100 };
    return {
      outputs: [w.behind('EfficientNMS_TRT', [part(0, 4), score], attributes, 'TRT')],
      lines,
    };
  }
  const corners = [1, 0, 1, 0, 0, 1, 0, 1, -0.5, 0, 0.5, 0, 0, -0.5, 0, 0.5];
  const boxes = w.behind('MatMul', [part(0, 4), w.constant(array([4, 4], corners)).name]);
  const label = w.behind('Cast', [w.behind('ArgMax', [score], { axis: 2 })], { to: 1 });
  const apart = w.behind('Add', [boxes, w.behind('Mul', [label, w.constant(array([], [640])).name])]);
  const best = w.behind('Transpose', [w.behind('ReduceMax', [score], { axes: [2] })], { perm: [0, 2, 1] });
  return { outputs: [w.behind('NonMaxSuppression', [apart, best, w.whole(100).name])], lines };
}

const ANCHORS = [
  [10, 13, 16, 30, 33, 23],
  [30, 61, 62, 45, 59, 119],
  [116, 90, 156, 198, 373, 326],
];

/** [1, boxes, 5 + classes], as v5: three boxes a cell, of given sizes. */
function headV5(w: Writer, maps: readonly Value[]): Value {
  const width = 5 + CLASSES.length;
  const two = w.constant(array([], [2]));
  const perScale = maps.map((x, scale) => {
    const cells = x.shape[2]!;
    const five = w.reshape(w.conv(x, 3 * width, 1, 1, 4), 1, 3, width, cells, cells);
    const y = w.sigmoid(w.transpose(five, [0, 1, 3, 4, 2]));
    const [xy, wh, rest] = w.split(y, 4, [2, 2, width - 4]) as [Value, Value, Value];
    const [columns, rows] = centres(cells) as [number[], number[]];
    const grid = [0, 1, 2].flatMap(() => columns.flatMap((column, i) => [column - 1, rows[i]! - 1]));
    const stride = w.constant(array([], [STRIDES[scale]!]));
    const at = w.mul(w.add(w.mul(xy, two), w.constant(array([1, 3, cells, cells, 2], grid))), stride);
    const sizes = w.constant(array([1, 3, 1, 1, 2], ANCHORS[scale]!));
    const size = w.mul(w.pow(w.mul(wh, two), two), sizes);
    return w.reshape(w.concat([at, size, rest], 4), 1, -1, width);
  });
  return w.concat(perScale, 1, 'output0');
}

/** [1, boxes, 5 + classes], as YOLOX exports it: one box a cell, in cells. Biases may be operators of their own. */
function headX(w: Writer, maps: readonly Value[], isApart = false): Value {
  const width = 5 + CLASSES.length;
  const perScale = maps.map((x) => {
    const [box, isThere, ofClasses] = [4, 1, CLASSES.length].map((n) => w.conv(x, n, 1, 1, 2, isApart)) as [
      Value,
      Value,
      Value,
    ];
    const all = w.concat([box, w.sigmoid(isThere), w.sigmoid(ofClasses)], 1);
    return w.reshape(all, 1, width, x.shape[2]! * x.shape[3]!);
  });
  return w.transpose(w.concat(perScale, 2), [0, 2, 1], 'cells');
}

/** The same with its boxes decoded in the file, as YOLOX's `--decode_in_inference` writes it. */
function decodedX(w: Writer, maps: readonly Value[]): Value {
  const lines = headX(w, maps, true);
  const [at, size, rest] = w.split(lines, 2, [2, 2, 1 + CLASSES.length]) as [Value, Value, Value];
  const grids = maps.map((x) => centres(x.shape[2]!) as [number[], number[]]);
  const corners = grids.flatMap(([columns, rows]) => columns.flatMap((x, i) => [x - 0.5, rows[i]! - 0.5]));
  const strides = maps.flatMap((x, i) => Array(x.shape[2]! ** 2).fill(STRIDES[i]!));
  const stride = w.constant(array([1, strides.length, 1], strides));
  const from = w.add(at, w.constant(array([1, strides.length, 2], corners)));
  return w.concat([w.mul(from, stride), w.mul(w.exp(size), stride), rest], 2, 'output0');
}

const heads = {
  v5: (w, maps) => plain(headV5(w, maps)),
  'v7 --end2end': (w, maps) => chosenV7(w, headV5(w, maps)),
  'v7 --end2end for TensorRT': (w, maps) => chosenV7(w, headV5(w, maps), true),
  v8: (w, maps) => plain(linesV8(w, scalesV8(w, maps))),
  'v8 nms=True': (w, maps) => chosenV8(w, linesV8(w, scalesV8(w, maps), true)),
  v10: (w, maps) => bestV10(w, linesV8(w, scalesV8(w, maps), true)),
  'v8 scales': (w, maps) => {
    const scales = scalesV8(w, maps);
    return { outputs: scales.map(({ name }) => name).reverse(), lines: linesV8(w, scales) };
  },
  x: (w, maps) => plain(headX(w, maps)),
  'x biases apart': (w, maps) => plain(headX(w, maps, true)),
  'x decoded': (w, maps) => plain(decodedX(w, maps)),
} as const satisfies Record<string, (w: Writer, maps: readonly Value[]) => Written>;

export type Version = keyof typeof heads;
export const versions = Object.keys(heads) as Version[];

/** A detector of a seed: its file, and its lines for a picture [1, 3, 64, 64], with some values given. */
export function yolo(version: Version, seed: number, batch: number | string = 1) {
  const written = (picture: Array64, given: ReadonlyMap<string, Array64> = new Map()) => {
    const w = writer(seed, given);
    return { ...heads[version](w, features(w, { ...picture, name: 'images' })), w };
  };
  const { outputs, w } = written(filled([1, 3, SIZE, SIZE], 0));
  const spec = (
    metadata: Readonly<Record<string, string>> = { names: pythonDict(CLASSES), task: 'detect' },
    named = outputs,
  ): ModelSpec => ({
    opset: 17,
    nodes: w.nodes,
    initializers: w.initializers,
    inputs: [{ name: 'images', dims: [batch, 3, SIZE, SIZE] }],
    outputs: named,
    metadata,
  });
  return {
    spec,
    file: (...how: Parameters<typeof spec>) => modelBytes(spec(...how)),
    output: (picture: Array64, given?: ReadonlyMap<string, Array64>): Array64 =>
      written(picture, given).lines,
  };
}

/** A list as Python writes a dict of it. */
export const pythonDict = (names: readonly string[]): string =>
  `{${names.map((name, i) => `${i}: ${name.includes("'") ? `"${name}"` : `'${name}'`}`).join(', ')}}`;
