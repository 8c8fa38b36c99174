// TensorFlow.js's graph-models, written by hand as its converter writes them, against the same operations in float64.

import test from 'tape';
import { observe } from '../../cam/index.ts';
import { LimelightError, tensor } from '../../engine/index.ts';
import { FormatError } from '../../models/formats/errors.ts';
import { readTfjs } from '../../models/formats/tfjs/read.ts';
import { disposeNetwork } from '../../models/network.ts';
import { open } from '../../models/open.ts';
import { device } from '../device.ts';
import {
  type Array64,
  array,
  avgPool2d,
  batchNorm,
  binary,
  concat,
  conv2d,
  convTranspose2d,
  map,
  matmul,
  max,
  maxPool2d,
  mean,
  pad,
  randomArray,
  relativeError,
  reshape,
  resizeBilinear,
  seededRandom,
  slice,
  softmax,
  transpose,
} from '../reference/index.ts';
import { encode, memory } from './keras-fixtures.ts';
import { exchanged } from './mutations.ts';

interface Value extends Array64 {
  readonly name: string;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const text = (value: string) => ({ s: base64(value) });
const texts = (...values: string[]) => ({ list: { s: values.map(base64) } });
const ints = (...values: number[]) => ({ list: { i: values.map(String) } });
const toFirst = (x: Array64) => transpose(x, [0, 3, 1, 2]);
const toLast = (x: Array64) => transpose(x, [0, 2, 3, 1]);

/** SAME: as many windows as strides fit; of an odd number of added pixels the last side gets one more. */
function same(
  size: readonly number[],
  kernel: readonly number[],
  stride: number,
): [number, number, number, number] {
  const total = [0, 1].map((axis) =>
    Math.max((Math.ceil(size[axis]! / stride) - 1) * stride + kernel[axis]! - size[axis]!, 0),
  );
  const before = total.map((n) => Math.floor(n / 2));
  return [before[0]!, before[1]!, total[0]! - before[0]!, total[1]! - before[1]!];
}

const activations: Readonly<Record<string, (x: number) => number>> = {
  Relu: (x) => Math.max(0, x),
  Relu6: (x) => Math.min(6, Math.max(0, x)),
  Elu: (x) => (x > 0 ? x : Math.expm1(x)),
  LeakyRelu: (x) => (x > 0 ? x : 0.3 * x),
  Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

/** Each call writes an operation and computes it, in TensorFlow's layout. */
function graphWriter(seed: number) {
  const random = seededRandom(seed);
  const node: Record<string, unknown>[] = [];
  const weights: { name: string; shape: readonly number[]; dtype: string; data: ArrayLike<number> }[] = [];
  let count = 0;
  const op = (
    kind: string,
    inputs: readonly { readonly name: string }[],
    computed: Array64,
    attr: Record<string, unknown> = {},
    name = `StatefulPartitionedCall/net/${kind}_${count++}`,
  ): Value => {
    node.push({
      name,
      op: kind,
      input: inputs.map((one) => one.name),
      attr: { T: { type: 'DT_FLOAT' }, ...attr },
    });
    return { ...computed, name };
  };
  const constant = (value: Array64, dtype = 'float32'): Value => {
    const name = `const_${count++}`;
    node.push({ name, op: 'Const', attr: { dtype: { type: dtype === 'int32' ? 'DT_INT32' : 'DT_FLOAT' } } });
    weights.push({ name, shape: value.shape, dtype, data: value.data });
    return { ...value, name };
  };
  const whole = (...values: number[]) => constant(array([values.length], values), 'int32');
  const one = (value: number) => constant(array([], [value]), 'int32');
  const scalar = (value: number) => constant(array([], [value]));
  const weight = (...shape: number[]) => {
    const bound = 1.5 / Math.sqrt(shape.slice(0, -1).reduce((a, b) => a * b, 1));
    return constant(randomArray(shape, random, { low: -bound, high: bound }));
  };
  const bias = (channels: number) => constant(randomArray([channels], random, { low: -0.3, high: 0.3 }));
  const ending = (x: Array64, fused: readonly string[], extra: Array64): Array64 => {
    const biased = binary.add(x, extra);
    return fused.slice(1).reduce((y, kind) => map(y, activations[kind]!), biased);
  };
  return {
    node,
    weights,
    op,
    constant,
    whole,
    one,
    scalar,
    weight,
    bias,
    /** Conv2D, or with `fused` steps _FusedConv2D. */
    conv(
      x: Value,
      out: number,
      kernel: number,
      options: { stride?: number; padding?: 'SAME' | 'VALID'; fused?: string[]; depthwise?: boolean } = {},
    ): Value {
      const { stride = 1, padding = 'SAME', fused = [], depthwise = false } = options;
      const channels = x.shape[3]!;
      const w = weight(kernel, kernel, channels, out);
      const sides =
        padding === 'SAME' ? same([x.shape[1]!, x.shape[2]!], [kernel, kernel], stride) : [0, 0, 0, 0];
      const kernels = depthwise
        ? reshape(transpose(w, [2, 3, 0, 1]), [channels * out, 1, kernel, kernel])
        : transpose(w, [3, 2, 0, 1]);
      const made = toLast(
        conv2d(toFirst(x), kernels, {
          stride: [stride, stride],
          padding: sides as [number, number, number, number],
          groups: depthwise ? channels : 1,
        }),
      );
      const attr = {
        strides: ints(1, stride, stride, 1),
        padding: text(padding),
        data_format: text('NHWC'),
        dilations: ints(1, 1, 1, 1),
      };
      const plain = depthwise ? 'DepthwiseConv2dNative' : 'Conv2D';
      if (fused.length === 0) return op(plain, [x, w], made, attr);
      const b = bias(depthwise ? channels * out : out);
      return op(
        depthwise ? 'FusedDepthwiseConv2dNative' : '_FusedConv2D',
        [x, w, b],
        ending(made, fused, b),
        {
          ...attr,
          fused_ops: texts(...fused),
          num_args: { i: '1' },
          leakyrelu_alpha: { f: 0.3 },
        },
      );
    },
    batchNorm(x: Value): Value {
      const channels = x.shape[3]!;
      const positive = () => constant(randomArray([channels], random, { low: 0.5, high: 1.5 }));
      const [gamma, beta, centre, variance] = [positive(), bias(channels), bias(channels), positive()];
      const y = toLast(batchNorm(toFirst(x), centre, variance, gamma, beta, 1e-3));
      return op('FusedBatchNormV3', [x, gamma, beta, centre, variance], y, {
        epsilon: { f: 1e-3 },
        is_training: { b: false },
        data_format: text('NHWC'),
      });
    },
    pool(
      kind: 'MaxPool' | 'AvgPool',
      x: Value,
      size: number,
      stride: number,
      padding: 'SAME' | 'VALID',
    ): Value {
      const sides =
        padding === 'SAME' ? same([x.shape[1]!, x.shape[2]!], [size, size], stride) : [0, 0, 0, 0];
      const options = {
        kernel: [size, size],
        stride: [stride, stride],
        padding: sides as [number, number, number, number],
      } as const;
      const y =
        kind === 'MaxPool'
          ? maxPool2d(toFirst(x), options)
          : avgPool2d(toFirst(x), { ...options, countIncludePad: false });
      return op(kind, [x], toLast(y), {
        ksize: ints(1, size, size, 1),
        strides: ints(1, stride, stride, 1),
        padding: text(padding),
      });
    },
    each(kind: string, x: Value, f: (x: number) => number, attr?: Record<string, unknown>): Value {
      return op(kind, [x], map(x, f), attr);
    },
    two: (kind: string, a: Value, b: Value, f: keyof typeof binary) => op(kind, [a, b], binary[f](a, b)),
    mean: (x: Value, keep: boolean, ...axes: number[]) =>
      op('Mean', [x, whole(...axes)], mean(x, axes, keep), { keep_dims: { b: keep } }),
  };
}

type Writer = ReturnType<typeof graphWriter>;

/** The converter's files: model.json and two shards. */
function files({ node, weights }: Writer, input: readonly number[], output: Value, signed = true) {
  const bytes = Buffer.concat(
    weights.map(({ dtype, data }) =>
      Buffer.from((dtype === 'int32' ? Int32Array.from(data) : Float32Array.from(data)).buffer),
    ),
  );
  const half = Math.floor(bytes.length / 2);
  const shape = { dim: input.map((size) => ({ size: String(size) })) };
  const json = {
    format: 'graph-model',
    generatedBy: '2.15.0',
    convertedBy: 'TensorFlow.js Converter v4.17.0',
    ...(signed && {
      signature: {
        inputs: { input_1: { name: 'input_1:0', dtype: 'DT_FLOAT', tensorShape: shape } },
        outputs: { predictions: { name: `${output.name}:0`, dtype: 'DT_FLOAT' } },
      },
    }),
    modelTopology: {
      node: [
        { name: 'input_1', op: 'Placeholder', attr: { dtype: { type: 'DT_FLOAT' }, shape: { shape } } },
        ...node,
      ],
      versions: { producer: 1882 },
    },
    weightsManifest: [
      {
        paths: ['group1-shard1of2.bin', 'group1-shard2of2.bin'],
        weights: weights.map(({ name, shape, dtype }) => ({ name, shape, dtype })),
      },
    ],
  };
  const shards = {
    'group1-shard1of2.bin': new Uint8Array(bytes.subarray(0, half)),
    'group1-shard2of2.bin': new Uint8Array(bytes.subarray(half)),
  };
  return { json, parts: memory(shards) };
}

const SIZE = 20;
const picture = (seed: number) => randomArray([1, SIZE, SIZE, 3], seededRandom(seed));

/** MobileNetV2's blocks, batch norms folded by the converter, softmax behind. */
function mobile(w: Writer, input: Value): Value {
  const stem = w.conv(input, 8, 3, { stride: 2, fused: ['BiasAdd', 'Relu6'] });
  const deep = w.conv(stem, 1, 3, { depthwise: true, fused: ['BiasAdd', 'Relu6'] });
  const narrow = w.conv(deep, 6, 1, { fused: ['BiasAdd'] });
  const wide = w.conv(narrow, 12, 1, { fused: ['BiasAdd', 'Relu6'] });
  const again = w.conv(wide, 1, 3, { depthwise: true, fused: ['BiasAdd', 'Relu6'] });
  const sum = w.two('AddV2', w.conv(again, 6, 1, { fused: ['BiasAdd'] }), narrow, 'add');
  const last = w.conv(sum, 10, 1, { fused: ['BiasAdd', 'Relu'] });
  const pooled = w.mean(last, false, 1, 2);
  const [kernel, b] = [w.weight(10, 5), w.bias(5)];
  const logits = w.op('_FusedMatMul', [pooled, kernel, b], binary.add(matmul(pooled, kernel), b), {
    fused_ops: texts('BiasAdd'),
    transpose_a: { b: false },
    transpose_b: { b: false },
  });
  const p = w.op('Softmax', [logits], softmax(logits, 1));
  return w.op('Identity', [p], p, {}, 'Identity');
}

/** What older and larger networks do besides: preprocessing, branches, gates, shapes that are computed. */
function mixed(w: Writer, input: Value): Value {
  const scaled = w.two('Sub', w.two('Mul', input, w.scalar(0.5), 'mul'), w.scalar(0.1), 'sub');
  const padded = w.op(
    'Pad',
    [scaled, w.constant(array([4, 2], [0, 0, 0, 1, 0, 1, 0, 0]), 'int32')],
    pad(scaled, [0, 0, 0, 0], [0, 1, 1, 0]),
  );
  const stem = w.batchNorm(w.conv(padded, 6, 3, { stride: 2, padding: 'VALID' }));
  const six = w.scalar(1 / 6);
  const gate = w.each('Relu6', w.two('AddV2', stem, w.scalar(3), 'add'), activations.Relu6!);
  const hard = w.two('Mul', stem, w.two('Mul', gate, six, 'mul'), 'mul');
  const biased = w.two('BiasAdd', w.conv(hard, 6, 3), w.bias(6), 'add');
  const a = w.pool('MaxPool', w.each('Elu', biased, activations.Elu!), 3, 2, 'SAME');
  const b = w.pool(
    'AvgPool',
    w.each('LeakyRelu', biased, (x) => (x > 0 ? x : 0.25 * x), { alpha: { f: 0.25 } }),
    3,
    2,
    'SAME',
  );
  const both = w.op('ConcatV2', [a, b, w.one(3)], concat([a, b], 3));
  const squeeze = w.mean(both, true, 1, 2);
  const excite = w.each(
    'Sigmoid',
    w.conv(w.conv(squeeze, 4, 1, { fused: ['BiasAdd', 'Relu'] }), 12, 1),
    activations.Sigmoid!,
  );
  const gated = w.two('Mul', both, excite, 'mul');
  const [, h, width] = gated.shape as [number, number, number, number];
  const size = w.whole(2 * h, 2 * width);
  const large = w.op(
    'ResizeBilinear',
    [gated, size],
    toLast(resizeBilinear(toFirst(gated), [2 * h, 2 * width], false)),
    {
      half_pixel_centers: { b: true },
      align_corners: { b: false },
    },
  );
  const shape = w.op('Shape', [large], array([4], large.shape), { out_type: { type: 'DT_INT32' } });
  const first = w.op('StridedSlice', [shape, w.whole(0), w.whole(1), w.whole(1)], array([], [1]), {
    shrink_axis_mask: { i: '1' },
  });
  const count = 2 * h * 2 * width;
  const to = w.op('Pack', [first, w.one(count), w.one(12)], array([3], [1, count, 12]), { N: { i: '3' } });
  const rows = w.op('Reshape', [large, to], reshape(large, [1, count, 12]));
  const turned = w.op('Transpose', [rows, w.whole(0, 2, 1)], transpose(rows, [0, 2, 1]));
  const largest = w.op('Max', [turned, w.whole(2)], max(turned, [2], true), { keep_dims: { b: true } });
  const flat = w.op('Squeeze', [largest], reshape(largest, [1, 12]), { squeeze_dims: ints(2) });
  const part = w.op('Slice', [flat, w.whole(0, 2), w.whole(-1, 8)], slice(flat, [0, 2], [1, 10]));
  const kernel = w.weight(4, 8);
  const product = w.op('MatMul', [part, kernel], matmul(part, transpose(kernel, [1, 0])), {
    transpose_b: { b: true },
  });
  return w.two('AddV2', product, w.bias(4), 'add');
}

/** What enlarges maps, and takes values apart: transposed convolutions, parts of axes, comparisons. */
function decoding(w: Writer, input: Value): Value {
  const small = w.conv(input, 6, 3, { stride: 2, fused: ['BiasAdd', 'Relu'] });
  const up = (x: Value, out: number, size: number, padding: 'SAME' | 'VALID') => {
    const kernel = w.weight(3, 3, out, x.shape[3]!);
    const sides = padding === 'SAME' ? same([size, size], [3, 3], 2) : ([0, 0, 0, 0] as const);
    const options = { stride: [2, 2], padding: sides } as const;
    const y = toLast(convTranspose2d(toFirst(x), transpose(kernel, [3, 2, 0, 1]), [size, size], options));
    return w.op('Conv2DBackpropInput', [w.whole(1, size, size, out), kernel, x], y, {
      strides: ints(1, 2, 2, 1),
      padding: text(padding),
      data_format: text('NHWC'),
    });
  };
  const large = up(up(small, 8, 19, 'SAME'), 4, 39, 'VALID');
  const [h, width] = [39, 39];
  const half = (i: number) => slice(large, [0, 0, 0, 2 * i], [1, h, width, 2 * i + 2]);
  const first = w.op('Split', [w.one(3), large], half(0), { num_split: { i: '2' } });
  const second: Value = { ...half(1), name: `${first.name}:1` };
  const apart = w.op(
    'SquaredDifference',
    [first, second],
    map(binary.sub(half(0), half(1)), (v) => v * v),
  );
  const above = w.op(
    'GreaterEqual',
    [first, second],
    map(binary.sub(half(0), half(1)), (v) => Number(v >= 0)),
  );
  const mask = w.op('Cast', [above], above, { DstT: { type: 'DT_FLOAT' } });
  const kept = w.two('Mul', apart, mask, 'mul');
  const means = w.mean(w.op('ConcatV2', [kept, large, w.one(3)], concat([kept, large], 3)), false, 1, 2);
  const parts = w.op('SplitV', [means, w.whole(2, 4), w.one(1)], slice(means, [0, 0], [1, 2]), {
    num_split: { i: '2' },
  });
  const rest: Value = { ...slice(means, [0, 2], [1, 6]), name: `${parts.name}:1` };
  const twice = w.op('Tile', [parts, w.whole(1, 2)], concat([parts, parts], 1));
  const chosen = w.op(
    'GatherV2',
    [rest, w.whole(3, 0, 1), w.one(1)],
    array(
      [1, 3],
      [3, 0, 1].map((i) => rest.data[i]!),
    ),
  );
  const row = reshape(rest, [4]);
  const one = w.op(
    'Unpack',
    [w.op('Reshape', [rest, w.whole(1, 4, 1)], reshape(rest, [1, 4, 1]))],
    array([1, 1], [row.data[0]!]),
    {
      num: { i: '4' },
      axis: { i: '1' },
    },
  );
  const third: Value = { ...array([1, 1], [row.data[2]!]), name: `${one.name}:2` };
  return w.op('ConcatV2', [twice, chosen, one, third, w.one(1)], concat([twice, chosen, one, third], 1));
}

const networks = { mobile, mixed, decoding } as const;

function built(kind: keyof typeof networks, x: Array64) {
  const w = graphWriter({ mobile: 3, mixed: 4, decoding: 5 }[kind]);
  return { w, output: networks[kind](w, { ...x, name: 'input_1' }) };
}

for (const kind of ['mobile', 'mixed', 'decoding'] as const) {
  test(`a graph-model computes what its operations say: ${kind}`, async (t) => {
    const x = picture(9);
    const { w, output } = built(kind, x);
    for (const signed of [true, false]) {
      const { json, parts } = files(w, [-1, SIZE, SIZE, 3], output, signed);
      const network = await open(
        await device(),
        { name: 'model.json', arrayBuffer: async () => encode(json).buffer as ArrayBuffer },
        { parts },
      );
      const input = tensor(network.device, toFirst(x).data, [1, 3, SIZE, SIZE]);
      const trace = observe(network, input);
      const predictions = await trace.predictions();
      const found = predictions.map(({ logit, probability }) => (kind === 'mobile' ? probability! : logit));
      t.ok(relativeError(found, output.data) < 1e-5, `${found} for ${output.data}`);
      t.equal(
        trace.at().featureMap.shape.length,
        4,
        `the default layer, ${network.targetLayer}, is a feature map`,
      );
      const turns = network.graph.nodes.filter(({ kind }) => kind === 'transpose');
      if (kind === 'mobile') t.deepEqual(turns, [], 'nothing is moved about');
      trace.dispose();
      input.dispose();
      disposeNetwork(network);
    }
  });
}

/** The error that reading a changed model ends in. */
async function refusal(
  change: (json: ReturnType<typeof files>['json']) => unknown,
  kind: keyof typeof networks = 'mobile',
) {
  const { w, output } = built(kind, picture(1));
  const { json, parts } = files(w, [-1, SIZE, SIZE, 3], output);
  const changed = change(json) ?? json;
  return readTfjs(encode(changed), 'model.json', parts).then(
    () => undefined,
    (error: unknown) => error as Error,
  );
}

type Node = { name: string; op: string; input?: string[]; attr: Record<string, unknown> };
const nodesOf = (json: { modelTopology: { node: unknown[] } }) => json.modelTopology.node as Node[];

test('what a graph-model must not be is said', async (t) => {
  const set =
    (op: string, attr: Record<string, unknown>) => (json: { modelTopology: { node: unknown[] } }) => {
      Object.assign(nodesOf(json).find((node) => node.op === op)!.attr, attr);
    };
  const rows: [string, Parameters<typeof refusal>[0], RegExp][] = [
    [
      'unknown operations',
      (json) => {
        for (const node of nodesOf(json)) if (node.op === 'AddV2' || node.op === 'Mean') node.op += 'Odd';
      },
      /operations that are not supported:\n {2}MeanOdd: .*\n {2}AddV2Odd: |AddV2Odd: .*\n {2}MeanOdd: /,
    ],
    [
      'channels first',
      set('_FusedConv2D', { data_format: text('NCHW') }),
      /_FusedConv2D ".*": its data_format is NCHW; NHWC is read/,
    ],
    [
      'fused with what is unknown',
      set('_FusedConv2D', { fused_ops: texts('BiasAdd', 'Swish') }),
      /it ends with Swish, which is not supported there/,
    ],
    [
      'a circle',
      (json) => {
        const add = nodesOf(json).find((node) => node.op === 'AddV2')!;
        add.input![0] = add.name;
      },
      /depends on itself; loops are not read/,
    ],
    [
      'a value that nothing gives',
      (json) => {
        nodesOf(json).find((node) => node.op === 'AddV2')!.input![0] = 'nowhere';
      },
      /no node is called "nowhere"/,
    ],
    [
      'a sum of nothing',
      (json) => {
        nodesOf(json).find((node) => node.op === 'AddV2')!.input = [];
      },
      /AddV2 ".*": it takes two values/,
    ],
    [
      'two of a name',
      (json) => {
        nodesOf(json)[1]!.name = nodesOf(json)[2]!.name;
      },
      /the same name/,
    ],
    [
      'a weight that is not listed',
      (json) => {
        json.weightsManifest[0]!.weights[0]!.name = 'other';
      },
      /the manifest of weights does not list it|must be a constant of the file/,
    ],
    ['no nodes', (json) => ({ ...json, modelTopology: { node: 3 } }), /modelTopology.node is 3/],
    [
      'an input of unknown rank',
      (json) => {
        nodesOf(json)[0]!.attr.shape = {};
        delete (json as { signature?: unknown }).signature;
      },
      /Placeholder "input_1": an input of DT_FLOAT and shape missing/,
    ],
  ];
  for (const [name, change, message] of rows) {
    const error = await refusal(change);
    t.ok(error instanceof FormatError, name);
    t.match(error?.message ?? '', message);
  }
});

test('damaged graph-models end in typed errors', async (t) => {
  const next = seededRandom(17);
  let refused = 0;
  for (let i = 0; i < 150; i++) {
    const error = await refusal((json) => exchanged(json, next), i % 2 === 0 ? 'mobile' : 'mixed');
    if (error === undefined) continue;
    refused++;
    if (!(error instanceof LimelightError)) t.fail(`${error.stack}`);
  }
  t.ok(refused > 20, `${refused} of 150 were refused`);
});
