// Optimisers against their equations in float64, over several steps from one start.

import test from 'tape';
import { type Device, type Tensor, tensor } from '../../engine/index.ts';
import { adam, learningRate, sgd, takeStep } from '../../models/train/optimiser.ts';
import { device } from '../device.ts';
import { randomArray, relativeError, seededRandom } from '../reference/index.ts';

/** The next value of one parameter after its gradients so far, the latest last. */
type Rule = (value: number, gradients: readonly number[], rate: number, decays: boolean) => number;

/** Sutskever 2013 as frameworks have it: v <- momentum v + g, x <- x - rate (g + momentum v), with g + decay x for g. */
function nesterov(momentum: number, weightDecay: number): Rule {
  let v = 0;
  return (value, gradients, rate, decays) => {
    const g = gradients.at(-1)! + (decays ? weightDecay * value : 0);
    v = momentum * v + g;
    return value - rate * (g + momentum * v);
  };
}

/** Kingma 2014 with the decay of Loshchilov 2019: averages of g and g^2 that begin as those of the first gradient. */
function adamW(weightDecay: number): Rule {
  const average = (numbers: readonly number[], share: number) =>
    numbers.reduce((mean, number) => (1 - share) * mean + share * number);
  return (value, gradients, rate, decays) => {
    const m = average(gradients, 0.1);
    const v = average(
      gradients.map((g) => g * g),
      0.01,
    );
    return value * (decays ? 1 - rate * weightDecay : 1) - (rate * m) / (Math.sqrt(v) + 1e-8);
  };
}

const rates = [0.1, 0.07, 0.2, 0.05];
/** A matrix decays, a vector does not. */
const shapes = { matrix: [3, 5], vector: [7] };

async function check(t: test.Test, on: Device, update: ReturnType<typeof sgd>, rule: () => Rule) {
  const next = seededRandom(11);
  const start = Object.entries(shapes).map(([name, shape]) => [name, randomArray(shape, next)] as const);
  const steps = rates.map(() => start.map(([, { shape }]) => randomArray(shape, next)));
  const upload = ({ data, shape }: { data: Float64Array; shape: readonly number[] }) =>
    tensor(on, data, shape);
  const parameters = new Map<string, Tensor>(start.map(([name, x]) => [name, upload(x)]));
  const memories = new Map<string, readonly Tensor[]>();
  const before = on.memory.liveBytes;
  for (const [i, rate] of rates.entries()) {
    const gradients = new Map(start.map(([name], p) => [name, upload(steps[i]![p]!)]));
    takeStep(update, parameters, memories, gradients, rate);
    for (const gradient of gradients.values()) gradient.dispose();
  }
  for (const [p, [name, { data, shape }]] of start.entries()) {
    const expected = data.map((first, e) => {
      const of = rule();
      let value = first;
      for (const [i, rate] of rates.entries()) {
        const gradients = steps.slice(0, i + 1).map((step) => step[p]!.data[e]!);
        value = of(value, gradients, rate, shape.length > 1);
      }
      return value;
    });
    const error = relativeError(await parameters.get(name)!.data(), expected);
    t.ok(error < 1e-6, `${name}: error ${error.toExponential(1)}`);
  }
  for (const memory of memories.values()) for (const x of memory) x.dispose();
  t.equal(on.memory.liveBytes, before, 'only the parameters are left');
  for (const x of parameters.values()) x.dispose();
}

test('optimiser: gradient descent with momentum and decay', async (t) => {
  await check(t, await device(), sgd({ momentum: 0.9, weightDecay: 0.1 }), () => nesterov(0.9, 0.1));
});

test('optimiser: Adam with decay', async (t) => {
  await check(t, await device(), adam({ weightDecay: 0.3 }), () => adamW(0.3));
});

test('optimiser: the learning rate warms up and cools down', (t) => {
  const rates = [0, 0.1, 0.2, 0.6, 1].map((progress) => learningRate(2, progress));
  t.ok(relativeError(rates, [0.2, 1.1, 2, 1, 0]) < 1e-15, `${rates}`);
  t.end();
});
