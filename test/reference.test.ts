// Checks the float64 reference itself: values worked out by hand, examples published with the ONNX operators and
// in PyTorch's documentation, and identities.

import test from 'tape';
import type { Array64 } from './reference/index.ts';
import * as ref from './reference/index.ts';

const { array, randomArray, relativeError } = ref;

const range = (count: number, start = 0): number[] => Array.from({ length: count }, (_, i) => start + i);
const vector = (...values: number[]): Array64 => array([values.length], values);
/** One image of one channel. */
const image = (rows: readonly (readonly number[])[]): Array64 =>
  array([1, 1, rows.length, rows[0].length], rows.flat());
const inner = (a: Array64, b: Array64): number => ref.sum(ref.binary.mul(a, b)).data[0];

function close(t: test.Test, actual: Array64, expected: Array64, message: string, tolerance = 1e-14): void {
  t.deepEqual(actual.shape, expected.shape, `${message}: shape`);
  const error = relativeError(actual.data, expected.data);
  t.ok(error <= tolerance, `${message}: error ${error.toExponential(1)}`);
}

function near(t: test.Test, actual: number, expected: number, message: string, tolerance = 1e-14): void {
  close(t, array([], [actual]), array([], [expected]), message, tolerance);
}

test('reference: conv2d gives the examples of the ONNX operators', (t) => {
  const box = array([1, 1, 3, 3], range(9).fill(1));
  const five = array([1, 1, 5, 5], range(25));
  const seven = array([1, 1, 7, 5], range(35));
  const padded = [
    [12, 21, 27, 33, 24],
    [33, 54, 63, 72, 51],
    [63, 99, 108, 117, 81],
    [93, 144, 153, 162, 111],
    [72, 111, 117, 123, 84],
  ];
  close(t, ref.conv2d(five, box, { padding: [1, 1, 1, 1] }), image(padded), 'padded');
  const strided = [
    [12, 27, 24],
    [63, 108, 81],
    [123, 198, 141],
    [112, 177, 124],
  ];
  close(t, ref.conv2d(seven, box, { padding: [1, 1, 1, 1], stride: [2, 2] }), image(strided), 'strided');
  const lopsided = [
    [21, 33],
    [99, 117],
    [189, 207],
    [171, 183],
  ];
  close(t, ref.conv2d(seven, box, { padding: [1, 0, 1, 0], stride: [2, 2] }), image(lopsided), 'lopsided');
  t.end();
});

test('reference: conv2d with each option told apart on its axis', (t) => {
  // A ramp whose rows count tens and columns count ones, under a kernel that reads two chosen elements.
  const x = image(range(5).map((row) => range(6).map((column) => 10 * row + column)));
  const w = image([
    [1, 0],
    [0, 100],
  ]);
  // Taps (2 oy - 1, ox) and (2 oy + 1, ox + 3).
  const y = ref.conv2d(x, w, { stride: [2, 1], padding: [1, 0, 0, 1], dilation: [2, 3] });
  const expected = [
    [1300, 1400, 1500, 0],
    [3310, 3411, 3512, 13],
  ];
  close(t, y, image(expected), 'stride, padding and dilation');

  // Two groups of two outputs each: the first two see channels 0 and 1, the others channels 2 and 3.
  const channels = array([2, 4, 1, 1], range(8, 1));
  const mix = array([4, 2, 1, 1], [1, 10, 2, 20, 100, 1000, 300, 3000]);
  const grouped = ref.conv2d(channels, mix, { groups: 2 }, vector(0.5, 0.25, 0, -1));
  const sums = [21.5, 42.25, 4300, 12899, 65.5, 130.25, 8700, 26099];
  close(t, grouped, array([2, 4, 1, 1], sums), 'groups and bias');

  t.deepEqual(ref.conv2d(array([0, 4, 3, 3], []), mix, { groups: 2 }).shape, [0, 4, 3, 3], 'an empty batch');
  t.throws(() => ref.conv2d(channels, mix), /groups/, 'channels that do not match');
  t.throws(() => ref.conv2d(x, array([1, 1, 7, 1], range(7))), /exceeds/, 'a kernel larger than the image');
  t.throws(() => ref.conv2d(channels, mix, { groups: 2 }, vector(1)), /bias/, 'a bias of the wrong length');
  t.end();
});

test('reference: convTranspose2d gives the examples of the ONNX operators', (t) => {
  const x = array([1, 1, 3, 3], range(9));
  const w = array([1, 2, 3, 3], range(18).fill(1));
  const plane = [0, 1, 3, 3, 2, 3, 8, 15, 12, 7, 9, 21, 36, 27, 15, 9, 20, 33, 24, 13, 6, 13, 21, 15, 8];
  close(t, ref.convTranspose2d(x, w, [5, 5]), array([1, 2, 5, 5], [...plane, ...plane]), 'plain');
  const dilated = ref.convTranspose2d(
    image([
      [3, 8, 1],
      [9, 5, 7],
      [3, 2, 6],
    ]),
    image([
      [7, 2],
      [1, 9],
    ]),
    [5, 5],
    { dilation: [2, 2] },
  );
  const expected = [
    [21, 56, 13, 16, 2],
    [63, 35, 67, 10, 14],
    [24, 22, 76, 76, 21],
    [9, 5, 88, 45, 63],
    [3, 2, 33, 18, 54],
  ];
  close(t, dilated, image(expected), 'dilated');
  t.throws(() => ref.convTranspose2d(x, w, [6, 5]), /not \[1,1,3,3\]/, 'an input shape that does not fit');
  t.end();
});

test('reference: the adjoints of conv2d', (t) => {
  const next = ref.seededRandom(1);
  const cases: [number[], number[], ref.ConvOptions][] = [
    [[2, 3, 7, 5], [4, 3, 3, 2], { padding: [1, 0, 2, 1] }],
    [[1, 4, 9, 8], [6, 2, 3, 2], { stride: [2, 3], padding: [0, 1, 2, 3], dilation: [2, 1], groups: 2 }],
    [[3, 5, 6, 7], [5, 1, 3, 3], { stride: [2, 2], groups: 5 }],
    [[1, 1, 1, 1], [1, 1, 1, 1], {}],
  ];
  for (const [xShape, wShape, options] of cases) {
    const x = randomArray(xShape, next);
    const w = randomArray(wShape, next);
    const y = ref.conv2d(x, w, options);
    const dy = randomArray(y.shape, next);
    const dx = ref.convTranspose2d(dy, w, [xShape[2], xShape[3]], options);
    const dw = ref.conv2dWeightGradient(x, dy, [wShape[2], wShape[3]], options);
    t.deepEqual([dx.shape, dw.shape], [xShape, wShape], `[${xShape}] by [${wShape}]: shapes`);
    near(t, inner(x, dx), inner(y, dy), 'in x', 1e-13);
    near(t, inner(w, dw), inner(y, dy), 'in w', 1e-13);
    const numeric = ref.gradient((at) => inner(ref.conv2d(x, at, options), dy), w);
    close(t, numeric, dw, 'in w, by differences', 1e-9);
  }
  t.end();
});

test('reference: matmul', (t) => {
  const a = array([2, 1, 2, 3], range(12));
  const b = array([2, 3, 1], [1, 10, 100, 2, 20, 200]);
  const expected = array([2, 2, 2, 1], [210, 543, 420, 1086, 876, 1209, 1752, 2418]);
  close(t, ref.matmul(a, b), expected, 'batch axes broadcast');
  close(t, ref.matmul(array([2, 0], []), array([0, 1], [])), array([2, 1], [0, 0]), 'an empty sum');
  t.throws(() => ref.matmul(a, array([2, 3], range(6))), /differ/, 'lengths that differ');
  t.end();
});

test('reference: binary operations broadcast as in NumPy', (t) => {
  const a = array([2, 1, 3], range(6, 1));
  const b = array([2, 1], [10, 20]);
  const left = [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6];
  const right = [10, 10, 10, 20, 20, 20, 10, 10, 10, 20, 20, 20];
  const spread = (f: (x: number, y: number) => number) =>
    array(
      [2, 2, 3],
      left.map((x, i) => f(x, right[i])),
    );
  close(
    t,
    ref.binary.add(a, b),
    spread((x, y) => x + y),
    'add',
  );
  close(
    t,
    ref.binary.sub(a, b),
    spread((x, y) => x - y),
    'sub',
  );
  close(
    t,
    ref.binary.mul(a, b),
    spread((x, y) => x * y),
    'mul',
  );
  close(
    t,
    ref.binary.div(a, b),
    spread((x, y) => x / y),
    'div',
  );
  close(
    t,
    ref.binary.pow(a, b),
    spread((x, y) => x ** y),
    'pow',
  );
  const five = array([], [5]);
  close(t, ref.binary.min(five, vector(4, 5, 6)), vector(4, 5, 5), 'min with a scalar');
  close(t, ref.binary.max(five, vector(4, 5, 6)), vector(5, 5, 6), 'max with a scalar');
  close(t, ref.binary.max(five, vector(NaN, -Infinity)), vector(NaN, 5), 'max with NaN');
  const bases = vector(1, 1, -1, -1, -2, 0, 0);
  const exponents = vector(NaN, Infinity, -Infinity, 3, 0.5, 0, -1);
  close(t, ref.binary.pow(bases, exponents), vector(1, 1, 1, -1, NaN, 1, Infinity), 'pow at its corners');
  t.deepEqual(ref.binary.add(array([0, 3], []), vector(1, 2, 3)).shape, [0, 3], 'an empty operand');
  close(t, ref.broadcastTo(b, [2, 2, 3]), ref.binary.add(ref.filled([2, 2, 3], 0), b), 'broadcastTo');
  t.throws(() => ref.binary.add(vector(1, 2), vector(1, 2, 3)), /broadcast/, 'shapes that do not fit');
  t.throws(() => ref.broadcastTo(vector(1, 2), [1]), /broadcast/, 'broadcastTo of a larger shape');
  t.end();
});

test('reference: unary operations', (t) => {
  // Values from mpmath to 17 digits, at -2, 0.5 and 3.
  const x = vector(-2, 0.5, 3);
  const values: Record<Exclude<keyof typeof ref.unary, 'log' | 'sqrt'>, [number, number, number]> = {
    neg: [2, -0.5, -3],
    abs: [2, 0.5, 3],
    sign: [-1, 1, 1],
    step: [0, 1, 1],
    reciprocal: [-0.5, 2, 1 / 3],
    exp: [0.1353352832366127, 1.6487212707001282, 20.085536923187668],
    tanh: [-0.9640275800758169, 0.46211715726000974, 0.9950547536867305],
    erf: [-0.9953222650189527, 0.5204998778130465, 0.9999779095030014],
    sigmoid: [0.11920292202211756, 0.6224593312018546, 0.9525741268224333],
    softplus: [0.1269280110429725, 0.9740769841801067, 3.048587351573742],
    silu: [-0.23840584404423512, 0.3112296656009273, 2.8577223804672998],
    mish: [-0.2525014826957089, 0.37524521130489513, 2.9865350049679575],
    gelu: [-0.04550026389635842, 0.34573123063700656, 2.99595030590511],
    geluTanh: [-0.04540230591222498, 0.34571400982514394, 2.996362607918227],
    selu: [-1.520166468595695, 0.5253504936777402, 3.1521029620664414],
    relu: [0, 0.5, 3],
    relu6: [0, 0.5, 3],
    hardSwish: [-1 / 3, 1.75 / 6, 3],
  };
  for (const [name, expected] of Object.entries(values)) {
    close(t, ref.unary[name as keyof typeof values](x), vector(...expected), name, 1e-15);
  }
  close(t, ref.unary.log(vector(1, Math.E, 0, -1)), vector(0, 1, -Infinity, NaN), 'log');
  close(t, ref.unary.sqrt(vector(0, 2.25, -1)), vector(0, 1.5, NaN), 'sqrt');
  close(t, ref.unary.sign(vector(0, NaN)), vector(0, NaN), 'sign at 0 and NaN');
  close(t, ref.unary.step(vector(0, NaN)), vector(0, 0), 'step at 0 and NaN');
  close(t, ref.unary.relu6(vector(7, 6, NaN)), vector(6, 6, NaN), 'relu6 above 6');
  close(t, ref.unary.hardSwish(vector(-3, -4, 5)), vector(0, 0, 5), 'hardSwish outside its bend');
  close(t, ref.unary.sigmoid(vector(-1000, 1000)), vector(0, 1), 'sigmoid of large numbers');
  close(t, ref.unary.softplus(vector(-1000, 1000)), vector(0, 1000), 'softplus of large numbers');
  close(t, ref.leakyRelu(x, 0.1), vector(-0.2, 0.5, 3), 'leakyRelu');
  close(t, ref.clamp(x, -1, 2), vector(-1, 0.5, 2), 'clamp');
  close(t, ref.elu(x, 2), vector(2 * (Math.exp(-2) - 1), 0.5, 3), 'elu');
  close(t, ref.hardSigmoid(x), vector(1 / 6, 3.5 / 6, 1), 'hardSigmoid as in PyTorch');
  close(t, ref.hardSigmoid(x, 0.2, 0.5), vector(0.1, 0.6, 1), 'hardSigmoid as in ONNX');
  close(t, ref.unary.exp(array([0, 2], [])), array([0, 2], []), 'an empty array');
  t.end();
});

test('reference: erf to 1e-14, each value by itself', (t) => {
  // mpmath, 17 digits.
  const table: [number, number][] = [
    [1e-10, 1.1283791670955126e-10],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [2.75, 0.9998993780778803],
    [3.5, 0.9999992569016276],
    [5, 0.9999999999984626],
    [5.2, 0.9999999999998075],
    [5.9, 0.9999999999999999],
    [6.1, 1.0],
  ];
  for (const [x, expected] of table) {
    near(t, ref.unary.erf(vector(x)).data[0], expected, `erf(${x})`, 1e-14);
    near(t, ref.unary.erf(vector(-x)).data[0], -expected, `erf(${-x})`, 1e-14);
  }
  close(t, ref.unary.erf(vector(0, Infinity, NaN)), vector(0, 1, NaN), 'at 0, infinity and NaN');
  t.end();
});

test('reference: pooling gives the examples of the ONNX operators', (t) => {
  const four = array([1, 1, 4, 4], range(16, 1));
  const five = array([1, 1, 5, 5], range(25, 1));
  const wide = { kernel: [5, 5], stride: [1, 1], padding: [2, 2, 2, 2] } as const;
  const ceil = { kernel: [3, 3], stride: [2, 2], ceilMode: true } as const;
  const excluded = [
    [7, 7.5, 8, 8.5, 9],
    [9.5, 10, 10.5, 11, 11.5],
    [12, 12.5, 13, 13.5, 14],
    [14.5, 15, 15.5, 16, 16.5],
    [17, 17.5, 18, 18.5, 19],
  ];
  close(
    t,
    ref.avgPool2d(five, { ...wide, countIncludePad: false }),
    image(excluded),
    'average without padding',
  );
  const included = [
    [2.52, 3.6, 4.8, 4.08, 3.24],
    [4.56, 6.4, 8.4, 7.04, 5.52],
    [7.2, 10, 13, 10.8, 8.4],
    [6.96, 9.6, 12.4, 10.24, 7.92],
    [6.12, 8.4, 10.8, 8.88, 6.84],
  ];
  close(t, ref.avgPool2d(five, { ...wide, countIncludePad: true }), image(included), 'average with padding');
  const averages = [
    [6, 7.5],
    [12, 13.5],
  ];
  close(t, ref.avgPool2d(four, ceil), image(averages), 'average, ceilMode');
  const onPad = ref.avgPool2d(
    array(
      [1, 3, 2, 2],
      [0.858, 0.0786, 0.2692, 0.1537, 0.8816, 0.4353, 0.5772, 0.6623, 0.9067, 0.9483, 0.597, 0.763],
    ),
    { kernel: [3, 3], stride: [3, 3], padding: [1, 1, 1, 1], ceilMode: true, countIncludePad: true },
  );
  close(t, onPad, array([1, 3, 1, 1], [0.1511, 0.2841, 0.3572]), 'a last window on the padding', 2e-4);

  const largest = [
    [13, 14, 15, 15, 15],
    [18, 19, 20, 20, 20],
    [23, 24, 25, 25, 25],
    [23, 24, 25, 25, 25],
    [23, 24, 25, 25, 25],
  ];
  close(t, ref.maxPool2d(five, wide), image(largest), 'maximum');
  const corners = [
    [11, 12],
    [15, 16],
  ];
  close(t, ref.maxPool2d(four, ceil), image(corners), 'maximum, ceilMode');
  const dilated = { kernel: [2, 2], stride: [1, 1], dilation: [2, 2] } as const;
  close(t, ref.maxPool2d(four, dilated), image(corners), 'maximum, dilated');
  const two = array([1, 1, 2, 2], range(4, 1));
  const skipped = ref.maxPool2d(two, { kernel: [1, 1], stride: [2, 2], ceilMode: true });
  close(t, skipped, image([[1]]), 'ceilMode drops a window that would start outside');
  t.end();
});

test('reference: pooling, sizes and divisors worked out by hand', (t) => {
  // length, kernel, stride, before, after, dilation, ceilMode -> windows
  const sizes: [number, number, number, number, number, number, boolean, number][] = [
    [112, 3, 2, 0, 0, 1, true, 56], // SqueezeNet's pools
    [111, 3, 2, 0, 0, 1, true, 55],
    [112, 3, 2, 1, 1, 1, false, 56], // ResNet's
    [5, 2, 2, 0, 0, 1, false, 2],
    [5, 2, 2, 0, 0, 1, true, 3],
    [2, 1, 2, 0, 0, 1, true, 1],
    [2, 3, 3, 1, 1, 1, true, 1], // a second window would start at 2, on the padding after
    [7, 3, 1, 0, 0, 3, false, 1],
    [4, 2, 3, 1, 0, 1, true, 2],
  ];
  for (const [length, kernel, stride, before, after, dilation, ceilMode, expected] of sizes) {
    const windows = ref.poolOutputSize(length, kernel, stride, before, after, dilation, ceilMode);
    t.equal(windows, expected, `${length} by ${kernel} / ${stride} gives ${expected}`);
  }

  // One row of five, windows of three at -1, 1 and 3; the last holds 4, 5 and one cell past the padded end.
  const row = image([[1, 2, 3, 4, 5]]);
  const lopsided = { kernel: [1, 3], stride: [1, 2], padding: [0, 1, 0, 0], ceilMode: true } as const;
  const included = image([[3 / 3, 9 / 3, 9 / 2]]);
  const excluded = image([[3 / 2, 9 / 3, 9 / 2]]);
  close(t, ref.avgPool2d(row, { ...lopsided, countIncludePad: true }), included, 'an overhang never counts');
  close(
    t,
    ref.avgPool2d(row, { ...lopsided, countIncludePad: false }),
    excluded,
    'nor does excluded padding',
  );
  close(t, ref.maxPool2d(row, lopsided), image([[2, 4, 5]]), 'maximum');

  const negative = image([[-3, -1, -2]]);
  const surrounded = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] } as const;
  close(t, ref.maxPool2d(negative, surrounded), image([[-1, -1, -1]]), 'padding never wins');
  t.ok(Number.isNaN(ref.maxPool2d(image([[1, NaN, 2]]), { kernel: [1, 3] }).data[0]), 'NaN always does');
  const apart = { kernel: [1, 1], padding: [0, 1, 0, 0] } as const;
  close(t, ref.maxPool2d(row, apart), image([[-Infinity, 1, 2, 3, 4, 5]]), 'a window of padding alone');
  close(t, ref.avgPool2d(row, { ...apart, countIncludePad: false }), image([[0, 1, 2, 3, 4, 5]]), 'its mean');
  t.throws(() => ref.maxPool2d(row, { kernel: [2, 2] }), /exceeds/, 'a window larger than the image');

  const maps = array([1, 2, 2, 2], [1, 2, 3, 6, -1, -2, -3, -4]);
  close(t, ref.globalAvgPool(maps), array([1, 2, 1, 1], [3, -2.5]), 'globalAvgPool');
  close(t, ref.globalMaxPool(maps), array([1, 2, 1, 1], [6, -1]), 'globalMaxPool');
  t.end();
});

test('reference: reductions', (t) => {
  const x = array([2, 3, 2], [1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6]);
  close(t, ref.sum(x), array([], [0]), 'sum of all');
  close(t, ref.sum(x, [1]), array([2, 2], [9, 12, -9, -12]), 'sum');
  close(t, ref.sum(x, [0, -1], true), array([1, 3, 1], [0, 0, 0]), 'sum, axes kept');
  close(t, ref.mean(x, [1, 2]), vector(3.5, -3.5), 'mean');
  close(t, ref.max(x, [0], true), array([1, 3, 2], [1, 2, 3, 4, 5, 6]), 'max');
  close(t, ref.min(x, [1]), array([2, 2], [1, 2, -5, -6]), 'min');
  close(t, ref.max(vector(1, NaN, 2)), array([], [NaN]), 'max of NaN');
  close(t, ref.sum(x, []), x, 'sum along no axis');
  close(t, ref.sum(array([2, 0], []), [1]), vector(0, 0), 'sum of nothing');
  close(t, ref.mean(array([2, 0], []), [1]), vector(NaN, NaN), 'mean of nothing');
  t.throws(() => ref.max(array([2, 0], []), [1]), /no elements/, 'max of nothing');
  t.throws(() => ref.sum(x, [3]), /outside rank 3/, 'an axis too many');

  const y = array([2, 3], [1, 7, 7, 4, -1, 3]);
  close(t, ref.argmax(y, 1), vector(1, 0), 'argmax, the first of equals');
  close(t, ref.argmax(y, 0, true), array([1, 3], [1, 0, 0]), 'argmax, axis kept');
  close(t, ref.argmax(vector(1, NaN, 9, NaN), 0), array([], [1]), 'argmax of NaN');
  t.end();
});

test('reference: softmax', (t) => {
  const x = array([2, 2], [0, Math.log(3), 1000, 1000 + Math.log(4)]);
  close(t, ref.softmax(x, 1), array([2, 2], [0.25, 0.75, 0.2, 0.8]), 'large numbers', 1e-12);
  const logs = [0.25, 0.75, 0.2, 0.8].map(Math.log);
  close(t, ref.logSoftmax(x, -1), array([2, 2], logs), 'logSoftmax', 1e-12);
  const y = randomArray([3, 4, 5], ref.seededRandom(2), { low: -5, high: 5 });
  for (const axis of [0, 1, 2]) {
    const total = ref.sum(ref.softmax(y, axis), [axis]);
    close(t, total, ref.filled(total.shape, 1), `sums to 1 along axis ${axis}`);
    close(t, ref.unary.exp(ref.logSoftmax(y, axis)), ref.softmax(y, axis), `exp(logSoftmax) on axis ${axis}`);
  }
  t.end();
});

test('reference: normalisation', (t) => {
  const x = array([2, 2, 1, 2], [1, 3, 10, 10, 5, 7, 20, 20]);
  const [weight, bias] = [vector(2, 10), vector(1, -1)];
  const inference = ref.batchNorm(x, vector(1, 10), vector(3, 24), weight, bias, 1);
  close(t, inference, array([2, 2, 1, 2], [1, 3, -1, -1, 5, 7, 19, 19]), 'batchNorm, inference');

  // Channel 0 holds 1, 3, 5, 7: mean 4, variance 5; channel 1 holds 10, 10, 20, 20: mean 15, variance 25.
  const training = ref.batchNormTraining(x, weight, bias, 0);
  close(t, training.mean, vector(4, 15), 'batchNorm, mean of the batch');
  close(t, training.variance, vector(5, 25), 'batchNorm, biased variance of the batch');
  const root = Math.sqrt(5);
  const trained = [-3, -1, -5 * root, -5 * root, 1, 3, 5 * root, 5 * root].map((value, i) =>
    i % 4 < 2 ? 1 + (2 * value) / root : -1 + (2 * value) / root,
  );
  close(t, training.output, array([2, 2, 1, 2], trained), 'batchNorm, training');

  const rows = array([2, 2, 2], [1, 3, 5, 7, 0, 0, 0, 4]);
  const ones = array([2, 2], [1, 1, 1, 2]);
  const shift = array([2, 2], [0, 0, 0, 1]);
  const a = Math.sqrt(9);
  const b = Math.sqrt(7);
  const layered = [-3 / a, -1 / a, 1 / a, 6 / a + 1, -1 / b, -1 / b, -1 / b, 6 / b + 1];
  close(t, ref.layerNorm(rows, ones, shift, 4), array([2, 2, 2], layered), 'layerNorm over two axes');
  const flat = ref.layerNorm(array([1, 2], [4, 4]), vector(1, 1), vector(3, 2));
  close(t, flat, array([1, 2], [3, 2]), 'layerNorm of a constant');

  const instance = ref.instanceNorm(array([1, 2, 1, 2], [1, 3, 10, 30]), weight, bias, 0);
  close(t, instance, array([1, 2, 1, 2], [-1, 3, -11, 9]), 'instanceNorm');

  // Windows of 3 and of 2 (which reaches one channel after, none before).
  const across = array([1, 4, 1, 1], [1, 2, 3, 4]);
  const three = ref.lrn(across, { size: 3, alpha: 3, beta: 1, bias: 2 });
  close(t, three, array([1, 4, 1, 1], [1 / 7, 2 / 16, 3 / 31, 4 / 27]), 'lrn of odd size');
  const two = ref.lrn(across, { size: 2, alpha: 2, beta: 0.5, bias: 0 });
  close(t, two, array([1, 4, 1, 1], [1 / Math.sqrt(5), 2 / Math.sqrt(13), 3 / 5, 1]), 'lrn of even size');
  t.throws(() => ref.instanceNorm(x, vector(1), bias), /channels/, 'a weight of the wrong length');
  t.end();
});

test('reference: layout', (t) => {
  const x = array([2, 3], range(6));
  close(t, ref.reshape(x, [3, 2]), array([3, 2], range(6)), 'reshape');
  t.throws(() => ref.reshape(x, [4]), /do not fill/, 'reshape to another size');
  close(t, ref.transpose(x, [1, 0]), array([3, 2], [0, 3, 1, 4, 2, 5]), 'transpose');
  const cube = ref.transpose(array([2, 1, 3], range(6)), [2, 0, 1]);
  close(t, cube, array([3, 2, 1], [0, 3, 1, 4, 2, 5]), 'transpose of three axes, not its own inverse');
  t.throws(() => ref.transpose(x, [0, 0]), /permute/, 'an axis named twice');

  const ten = vector(...range(10));
  const slices: [number, number, number, number[]][] = [
    [2, 5, 1, [2, 3, 4]],
    [1, 8, 3, [1, 4, 7]],
    [-3, 100, 1, [7, 8, 9]],
    [8, 2, -3, [8, 5]],
    [9, -Infinity, -4, [9, 5, 1]],
    [100, -3, -1, [9, 8]],
    [5, 5, 1, []],
    [5, 2, 1, []],
  ];
  for (const [start, end, step, expected] of slices) {
    close(t, ref.slice(ten, [start], [end], [step]), vector(...expected), `slice ${start}:${end}:${step}`);
  }
  close(t, ref.slice(x, [0, 1], [2, 3]), array([2, 2], [1, 2, 4, 5]), 'slice of two axes');
  t.throws(() => ref.slice(ten, [0], [5], [0]), /step of 0/, 'a step of 0');

  const three = vector(1, 2, 3);
  close(t, ref.pad(three, [2], [1], 'constant', 9), vector(9, 9, 1, 2, 3, 9), 'pad by a constant');
  const mirrored = vector(2, 3, 2, 1, 2, 3, 2, 1, 2, 3);
  close(t, ref.pad(three, [3], [4], 'reflect'), mirrored, 'pad by reflection, more than once');
  close(t, ref.pad(three, [2], [1], 'edge'), vector(1, 1, 1, 2, 3, 3), 'pad by the edge');
  close(t, ref.pad(vector(7), [1], [2], 'reflect'), vector(7, 7, 7, 7), 'pad of one element by reflection');
  const framed = ref.pad(array([1, 2], [1, 2]), [1, 0], [0, 1]);
  close(t, framed, array([2, 3], [0, 0, 0, 1, 2, 0]), 'pad of two axes');

  const column = array([2, 1], [8, 9]);
  close(t, ref.concat([x, column], 1), array([2, 4], [0, 1, 2, 8, 3, 4, 5, 9]), 'concat');
  close(
    t,
    ref.concat([x, array([0, 3], []), x], 0),
    array([4, 3], [...range(6), ...range(6)]),
    'concat of none',
  );
  t.throws(() => ref.concat([x, column], 0), /concat of/, 'concat of shapes that do not fit');

  const indices = array([2, 2], [2, 0, -1, 1]);
  close(
    t,
    ref.gather(x, indices, 1),
    array([2, 2, 2], [2, 0, 2, 1, 5, 3, 5, 4]),
    'gather along the last axis',
  );
  close(t, ref.gather(x, vector(1), 0), array([1, 3], [3, 4, 5]), 'gather along the first');
  t.throws(() => ref.gather(x, vector(3), 1), /outside/, 'gather out of bounds');
  t.end();
});

test("reference: resizing gives the examples of PyTorch's Upsample and ONNX's Resize", (t) => {
  const two = image([
    [1, 2],
    [3, 4],
  ]);
  const halfPixel = [
    [1, 1.25, 1.75, 2],
    [1.5, 1.75, 2.25, 2.5],
    [2.5, 2.75, 3.25, 3.5],
    [3, 3.25, 3.75, 4],
  ];
  close(t, ref.resizeBilinear(two, [4, 4], false), image(halfPixel), 'pixels as areas');
  const aligned = [
    [1, 4 / 3, 5 / 3, 2],
    [5 / 3, 2, 7 / 3, 8 / 3],
    [7 / 3, 8 / 3, 3, 10 / 3],
    [3, 10 / 3, 11 / 3, 4],
  ];
  close(t, ref.resizeBilinear(two, [4, 4], true), image(aligned), 'corners aligned');
  const three = image([
    [1, 2, 0],
    [3, 4, 0],
    [0, 0, 0],
  ]);
  const areas = [
    [1, 1.25, 1.75, 1.5, 0.5, 0],
    [1.5, 1.75, 2.25, 1.875, 0.625, 0],
    [2.5, 2.75, 3.25, 2.625, 0.875, 0],
    [2.25, 2.4375, 2.8125, 2.25, 0.75, 0],
    [0.75, 0.8125, 0.9375, 0.75, 0.25, 0],
    [0, 0, 0, 0, 0, 0],
  ];
  close(t, ref.resizeBilinear(three, [6, 6], false), image(areas), '3 x 3, pixels as areas');
  const corners = [
    [1, 1.4, 1.8, 1.6, 0.8, 0],
    [1.8, 2.2, 2.6, 2.24, 1.12, 0],
    [2.6, 3, 3.4, 2.88, 1.44, 0],
    [2.4, 2.72, 3.04, 2.56, 1.28, 0],
    [1.2, 1.36, 1.52, 1.28, 0.64, 0],
    [0, 0, 0, 0, 0, 0],
  ];
  close(t, ref.resizeBilinear(three, [6, 6], true), image(corners), '3 x 3, corners aligned');

  const row = image([[1, 2, 3, 4]]);
  close(t, ref.resizeBilinear(row, [1, 2], false), image([[1.5, 3.5]]), 'down by 2');
  close(t, ref.resizeBilinear(row, [1, 1], true), image([[1]]), 'to one pixel, corners aligned');
  const tall = ref.resizeBilinear(image([[5]]), [2, 3], true);
  close(t, tall, array([1, 1, 2, 3], range(6).fill(5)), 'from one pixel');
  const unequal = [
    [1, 1, 1, 2, 2, 2],
    [1, 1, 1, 2, 2, 2],
    [3, 3, 3, 4, 4, 4],
    [3, 3, 3, 4, 4, 4],
  ];
  close(t, ref.resizeNearest(two, [4, 6]), image(unequal), 'nearest');
  close(t, ref.resizeNearest(image([range(5)]), [1, 3]), image([[0, 1, 3]]), 'nearest, from 5 to 3');
  t.end();
});

test('reference: losses', (t) => {
  const logits = array([2, 3], [Math.log(1), Math.log(2), Math.log(5), 0, 0, 0]);
  near(t, ref.crossEntropy(logits, [2, 0]), (Math.log(8 / 5) + Math.log(3)) / 2, 'cross entropy');
  near(t, ref.crossEntropy(array([1, 2], [1000, 0]), [1]), 1000, 'cross entropy of large logits');
  t.throws(() => ref.crossEntropy(logits, [3, 0]), /label 3/, 'a label out of range');
  t.throws(() => ref.crossEntropy(logits, [0]), /labels/, 'too few labels');
  // sigmoid(log 3) = 3/4, sigmoid(0) = 1/2
  const binary = ref.binaryCrossEntropyWithLogits(vector(Math.log(3), Math.log(3), 0), [1, 0, 0.25]);
  near(t, binary, (Math.log(4 / 3) + Math.log(4) + Math.log(2)) / 3, 'binary cross entropy');
  near(t, ref.binaryCrossEntropyWithLogits(vector(-1000, 1000), [1, 1]), 500, 'of large logits');
  t.end();
});

test('reference: finite differences of functions with known derivatives', (t) => {
  const x = vector(0.3, -1.2, 2.5, 300);
  const waves = (at: Array64) =>
    Math.sin(at.data[0]) * Math.exp(at.data[1]) + at.data[2] ** 3 + at.data[3] ** 2;
  const slopes = [Math.cos(0.3) * Math.exp(-1.2), Math.sin(0.3) * Math.exp(-1.2), 3 * 2.5 ** 2, 2 * 300];
  ref.gradient(waves, x).data.forEach((slope, i) => {
    // Rounding grows with f, here 9e4.
    near(t, slope, slopes[i], `gradient, element ${i}`, 1e-6);
  });
  const small = ref.gradient(({ data }) => Math.sin(data[0]) * Math.exp(data[1]), vector(0.3, -1.2));
  close(t, small, vector(slopes[0], slopes[1]), 'gradient of a function of size 1', 1e-11);
  t.deepEqual(ref.gradient(() => 1, array([0, 2], [])).shape, [0, 2], 'gradient in an empty array');

  // f = exp(a) sin(b) along v = (2, 1) / 2 is Im exp(a + ib + (1 + i/2) t).
  const spiral = ({ data: [a, b] }: Array64) => Math.exp(a) * Math.sin(b);
  const at = vector(0.2, 0.7);
  const v = vector(1, 0.5);
  const [size, angle] = [Math.hypot(1, 0.5), Math.atan2(0.5, 1)];
  for (const [order, tolerance] of [
    [1, 1e-11],
    [2, 1e-9],
    [3, 1e-8],
  ] as const) {
    const expected = size ** order * Math.exp(0.2) * Math.sin(0.7 + order * angle);
    near(t, ref.directionalDerivative(spiral, at, v, order), expected, `order ${order}`, tolerance);
  }
  const cubic = ({ data: [a] }: Array64) => a ** 3;
  near(
    t,
    ref.directionalDerivative(cubic, vector(2), vector(-1), 3),
    -6,
    'a cubic against its direction',
    1e-7,
  );
  near(t, ref.directionalDerivative(cubic, vector(2), vector(1), 2, 0.25), 12, 'a chosen step', 1e-12);
  t.end();
});

test('reference: derivatives agree between the two kinds of differences, through a network', (t) => {
  const next = ref.seededRandom(3);
  const x = randomArray([2, 2, 5, 4], next);
  const w = randomArray([3, 2, 3, 3], next);
  const loss = (at: Array64) => {
    const maps = ref.unary.gelu(ref.conv2d(at, w, { padding: [1, 1, 1, 1] }));
    return ref.crossEntropy(ref.reshape(ref.globalAvgPool(maps), [2, 3]), [0, 2]);
  };
  const v = randomArray(x.shape, next, { low: -0.2, high: 0.2 });
  const along = ref.directionalDerivative(loss, x, v, 1);
  near(t, inner(ref.gradient(loss, x), v), along, '<gradient, v> is the derivative along v', 1e-9);
  t.end();
});

test('reference: comparison', (t) => {
  t.equal(relativeError([1, 2.5, -4], [1, 2, -4]), 0.125, 'relative to the largest value');
  t.equal(relativeError([], []), 0, 'nothing');
  t.equal(relativeError([0, 0], [0, -0]), 0, 'zeros of either sign');
  t.ok(relativeError([1e-9], [0]) > 1, 'anything against zero is far off');
  t.equal(relativeError([NaN, 1], [NaN, 1]), 0, 'NaN where NaN is expected');
  t.equal(relativeError([Infinity, 1], [Infinity, 1]), 0, 'an infinity where it is expected');
  t.equal(relativeError([NaN, 1], [1, 1]), Infinity, 'NaN');
  t.equal(relativeError([1, 1], [NaN, 1]), Infinity, 'no NaN where one is expected');
  t.equal(relativeError([-Infinity], [Infinity]), Infinity, 'the other infinity');
  t.throws(() => relativeError([1], [1, 2]), /1 values against 2/, 'other lengths');
  t.end();
});

test('reference: random arrays', (t) => {
  // The first numbers of the published mulberry32 for seed 0.
  const next = ref.seededRandom(0);
  t.deepEqual(
    [next(), next(), next()],
    [0.26642920868471265, 0.0003297457005828619, 0.2232720274478197],
    'mulberry32',
  );
  const draw = (seed: number) => randomArray([50, 20], ref.seededRandom(seed), { low: 2, high: 3 });
  t.deepEqual(draw(5), draw(5), 'reproducible');
  t.notDeepEqual(draw(5), draw(6), 'different for another seed');
  const { data } = draw(5);
  t.ok(
    data.every((value) => value >= 2 && value <= 3 && value === Math.fround(value)),
    'float32 within bounds',
  );
  t.ok(Math.abs(data.reduce((a, b) => a + b, 0) / 1000 - 2.5) < 0.05, 'mean in the middle');
  t.end();
});
