// Methods that look at the feature map alone, against float64 on the host.

import test from 'tape';
import { explain, observe } from '../../cam/index.ts';
import { add, full, relu, tensor } from '../../engine/index.ts';
import { globalAvgPool, linear, plain } from '../../models/layers.ts';
import { device } from '../device.ts';
import { relativeError, seededRandom } from '../reference/index.ts';
import { randomNetwork } from './networks.ts';

/** A network whose feature map is the picture, after ReLU or as it is. */
const graph = (channels: number, bend: boolean) => ({
  nodes: [
    plain('features', 'identity', ['input'], (x) => (bend ? relu(x) : add(x, full(x.device, [1], 0)))),
    globalAvgPool('gap', 'features'),
    linear('classifier', 'gap', { in: channels, out: 3 }),
  ],
  output: 'classifier',
});

/** X v_1 and the two largest singular values of X [positions, K], by Jacobi rotations of X's columns in float64. */
function eigenMap(columns: Float64Array[]): { map: number[]; s: number[] } {
  const x = columns.map((column) => [...column]);
  const dot = (a: number[], b: number[]) => a.reduce((total, value, i) => total + value * b[i]!, 0);
  for (let sweep = 0; sweep < 60; sweep++) {
    for (let p = 0; p < x.length; p++) {
      for (let q = p + 1; q < x.length; q++) {
        const [a, b, c] = [dot(x[p]!, x[p]!), dot(x[q]!, x[q]!), dot(x[p]!, x[q]!)];
        if (Math.abs(c) < 1e-300) continue;
        const zeta = (b - a) / (2 * c);
        const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const cosine = 1 / Math.sqrt(1 + tangent * tangent);
        const sine = cosine * tangent;
        const [u, v] = [x[p]!, x[q]!];
        x[p] = u.map((value, i) => cosine * value - sine * v[i]!);
        x[q] = u.map((value, i) => sine * value + cosine * v[i]!);
      }
    }
  }
  // The columns are now U Sigma: X v_1 is the longest.
  const ordered = x
    .map((column) => ({ column, s: Math.sqrt(dot(column, column)) }))
    .sort((a, b) => b.s - a.s);
  const first = ordered[0]!.column;
  const sign = first.reduce((total, value) => total + value, 0) < 0 ? -1 : 1;
  return { map: first.map((value) => sign * value), s: ordered.slice(0, 2).map(({ s }) => s) };
}

for (const [channels, height, width, bend] of [
  [6, 5, 7, true],
  [6, 5, 7, false],
  [40, 3, 4, true],
  [40, 3, 4, false],
  [1, 4, 4, true],
  [9, 1, 2, true],
] as const) {
  const title = `${channels} channels of ${height}x${width}, ${bend ? 'not negative' : 'of both signs'}`;
  test(`Eigen-CAM, ${title}: the first singular vector`, async (t) => {
    const next = seededRandom(channels + height);
    const z = height * width;
    const values = Float32Array.from({ length: channels * z }, () => next() * 2 - 0.8);
    const network = {
      ...randomNetwork(await device(), graph(channels, bend), 1),
      preprocessing: { channels, scale: 1, mean: [0], std: [1] },
    };
    const trace = observe(network, tensor(network.device, values, [1, channels, height, width]));
    const [e] = await explain(trace, { methods: ['eigen-cam'], classes: [0] });
    const a = await trace.at().featureMap.data();
    const expected = eigenMap(
      Array.from({ length: channels }, (_, k) => Float64Array.from(a.slice(k * z, (k + 1) * z))),
    );
    const map = await e!.map.data();
    const error = relativeError(map, expected.map);
    t.ok(error < 1e-5, `map, error ${error.toExponential(1)}`);
    const s = await e!.terms.find(({ symbol }) => symbol === 's')!.tensor.data();
    t.ok(Math.abs(s[0]! / expected.s[0]! - 1) < 1e-5, `first singular value ${s[0]}`);
    const far = Math.abs(s[1]! - (expected.s[1] ?? 0)) / expected.s[0]!;
    t.ok(far < 1e-3, `second singular value ${s[1]}, ${far.toExponential(1)} of the first away`);
    const least = Math.min(...(await e!.weights!.data()));
    if (bend) t.ok(least > -1e-6 && Math.min(...map) > -1e-6, 'weights and map have one sign');
    t.match(e!.notes.join(), /does not look at the class/);
  });
}

test('Eigen-CAM of two channels alike in strength says that it is arbitrary, and zeros stay zeros', async (t) => {
  const network = {
    ...randomNetwork(await device(), graph(2, true), 1),
    preprocessing: { channels: 2, scale: 1, mean: [0], std: [1] },
  };
  const of = async (values: number[]) => {
    const x = tensor(network.device, Float32Array.from(values), [1, 2, 1, 2]);
    return (await explain(network, x, { methods: ['eigen-cam'], classes: [0] }))[0]!;
  };
  t.match((await of([1, 0, 0, 1])).notes.join(), /it is arbitrary, as the second singular value is 1.00/);
  t.notOk(/arbitrary/.test((await of([1, 1, 0, 0.1])).notes.join()));
  const none = await of([0, 0, 0, 0]);
  t.deepEqual([...(await none.map.data())], [0, 0]);
  t.match(none.notes.join(), /zero everywhere/);
});
