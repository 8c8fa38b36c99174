// The gradients that methods take of the shipped networks, against central differences in float64 of the same networks
// computed by the reference operations.

import test from 'tape';
import { observe, targets } from '../../cam/index.ts';
import { type Tensor, tensor } from '../../engine/index.ts';
import { INPUT, parametersOf } from '../../models/graph.ts';
import { disposeNetwork, type Network, open } from '../../models/index.ts';
import { device } from '../device.ts';
import * as ref from '../reference/index.ts';

type Array64 = ref.Array64;
type Numbers = Readonly<Record<string, Array64>>;
/** Attributes as the layers say them. */
interface Attributes extends ref.ConvOptions, ref.MaxPoolOptions {
  readonly epsilon: number;
}
type Layer = (inputs: readonly Array64[], p: Numbers, attributes: Attributes) => Array64;

const ofChannels = (bias: Array64, after: number): Array64 =>
  ref.reshape(bias, [bias.shape[0]!, ...Array<number>(after).fill(1)]);

/** The kinds of layers in the shipped networks of convolutions. */
const kinds: Readonly<Record<string, Layer>> = {
  conv([x], { weight, bias }, { stride, padding }) {
    const y = ref.conv2d(x!, weight!, { ...(stride && { stride }), ...(padding && { padding }) });
    return bias ? ref.binary.add(y, ofChannels(bias, 2)) : y;
  },
  batchNorm: ([x], { weight, bias, mean, variance }, { epsilon }) =>
    ref.batchNorm(x!, mean!, variance!, weight!, bias!, epsilon),
  relu: ([x]) => ref.unary.relu(x!),
  maxPool: ([x], _, attributes) => ref.maxPool2d(x!, attributes),
  add: ([a, b]) => ref.binary.add(a!, b!),
  globalAvgPool: ([x]) => ref.mean(x!, [2, 3]),
  flatten: ([x]) => ref.reshape(x!, [x!.shape[0]!, x!.data.length / x!.shape[0]!]),
  linear: ([x], { weight, bias }) => ref.binary.add(ref.matmul(x!, ref.transpose(weight!, [1, 0])), bias!),
};

/** Values of nodes from those that are known, in float64. */
async function forward64({ graph, parameters }: Network) {
  const in64 = async (x: Tensor) => ref.array(x.shape, await x.data());
  const numbers = new Map<string, Numbers>();
  for (const node of graph.nodes) {
    const own = await Promise.all(
      Object.entries(parametersOf(node, parameters)).map(async ([key, x]) => [key, await in64(x)] as const),
    );
    numbers.set(node.name, Object.fromEntries(own));
  }
  return (known: ReadonlyMap<string, Array64>): Map<string, Array64> => {
    const values = new Map(known);
    for (const { name, kind, inputs, attributes } of graph.nodes) {
      if (values.has(name) || !inputs.every((input) => values.has(input))) continue;
      const found = inputs.map((input) => values.get(input)!);
      values.set(name, kinds[kind]!(found, numbers.get(name)!, attributes as unknown as Attributes));
    }
    return values;
  };
}

const CLASS = 3;
/** Small enough that hardly a ReLU turns on the way, far above float64's rounding. */
const STEP = 1e-6;

for (const [name, shape] of [
  ['digit-scenes', [1, 1, 24, 20]],
  ['cifar10-gap', [1, 3, 16, 16]],
  ['digit-dense', [1, 1, 28, 28]],
] as const) {
  test(`${name}: gradients against central differences in float64`, async (t) => {
    const network = await open(await device(), name);
    const next = ref.seededRandom(5);
    const uniform = (length: number) => Float32Array.from({ length }, () => next());
    const size = shape.reduce((a, b) => a * b, 1 as number);
    const pixels = uniform(size);
    const picture = tensor(network.device, pixels, shape);
    const trace = observe(network, picture);
    const forward = await forward64(network);
    const values = forward(new Map([[INPUT, ref.array(shape, pixels)]]));
    const logits = values.get(network.graph.output)!.data;
    const most = Math.max(...logits.map(Math.abs));
    const found = await trace.outputs.logits.data();
    const off = Math.max(...found.map((x, i) => Math.abs(x - logits[i]!)));
    t.ok(off < 1e-5 * most, `logits are off by ${off} of ${most}`);

    const score = (at: ReadonlyMap<string, Array64>) => forward(at).get(network.graph.output)!.data[CLASS]!;
    const target = targets.logit(CLASS);
    const gradients = [
      [INPUT, trace.gradients(target, [INPUT])[0]!] as const,
      // Max pooling of a feature map has no derivative where zeros of ReLU tie.
      ...(name === 'digit-dense' ? [] : [[network.targetLayer, trace.at().gradient(target)] as const]),
    ];
    for (const [node, gradient] of gradients) {
      const slopes = await gradient.data();
      const x = values.get(node)!;
      for (let i = 0; i < 3; i++) {
        // Towards where the logit rises, but for chance: along a direction without any, nothing would be compared.
        const v = slopes.map((slope) => Math.sign(slope) * (0.5 + next()));
        const moved = (t: number) =>
          new Map([
            [
              node,
              ref.array(
                x.shape,
                x.data.map((value, k) => value + t * v[k]!),
              ),
            ],
          ]);
        const expected = (score(moved(STEP)) - score(moved(-STEP))) / (2 * STEP);
        const along = slopes.reduce((sum, slope, k) => sum + slope * v[k]!, 0);
        t.ok(Math.abs(along - expected) < 1e-5 * expected, `at ${node}: ${along}, ${expected}`);
      }
    }
    trace.dispose();
    picture.dispose();
    disposeNetwork(network);
  });
}
