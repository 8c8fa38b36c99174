// Trains the shipped networks on Limelight's own engine:
//   LIMELIGHT_DATA=folder npm run train -- cifar10-gap [--epochs 20] [--limit N] [--out folder]
// Progress on standard error, a checkpoint after every epoch (resumed from when present), and at the end the weights
// (f16 safetensors) and the figures for the model card.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import progress from 'cli-progress';
import {
  add,
  full,
  LimelightError,
  openDevice,
  scale,
  scope,
  stopGradient,
  type Tensor,
  tensor,
  vjp,
} from '../../engine/index.ts';
import { makeFolder } from '../../engine/platform/node/folder.ts';
import type { HostTensor } from '../formats/host-tensor.ts';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.ts';
import { evaluate } from '../graph.ts';
import { normal, permutation, type Random, random } from './data/random.ts';
import { learningRate, takeStep } from './optimiser.ts';
import type { Batch, Recipe } from './recipe.ts';
import { recipes } from './recipes.node.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { epochs: { type: 'string' }, limit: { type: 'string' }, out: { type: 'string' } },
});
const name = positionals[0] ?? '';
const makeRecipe = recipes[name];
const data = process.env.LIMELIGHT_DATA;
const [askedEpochs, limit] = [options.epochs, options.limit].map((text) =>
  text === undefined ? undefined : Number(text),
);
const areCounts = [askedEpochs, limit].every((n) => n === undefined || (Number.isInteger(n) && n > 0));
if (makeRecipe === undefined || data === undefined || !areCounts) {
  console.error(
    `usage: LIMELIGHT_DATA=folder npm run train -- ${Object.keys(recipes).join('|')} [--epochs N] [--limit N] [--out folder]`,
  );
  process.exit(2);
}

const device = await openDevice();
const recipe = await makeRecipe(data, device).catch((error: unknown) => {
  if (!(error instanceof LimelightError)) throw error;
  console.error(`train: ${error.message}`);
  process.exit(1);
});
const epochs = askedEpochs ?? recipe.epochs;
const perEpoch = Math.min(recipe.trainCount, limit ?? recipe.trainCount);
const folder = options.out ?? 'limelight-out/train';
await makeFolder(folder);
const checkpoint = `${folder}/${name}.checkpoint.safetensors`;
console.error(`${name} on ${device.name}: ${epochs} epochs of ${perEpoch}`);

const RUNNING_MOMENTUM = 0.1;
const parameters = new Map<string, Tensor>();
const memories = new Map<string, readonly Tensor[]>();
const trained = recipe.graph.nodes.flatMap((node) =>
  Object.entries(node.parameters)
    .filter(([short]) => short !== 'mean' && short !== 'variance')
    .map(([, { key }]) => key)
    .filter((key) => !recipe.frozen?.has(key)),
);
/** Keys of a checkpoint under which the optimiser's memory of a parameter lies, in order. */
const MEMORY = /^memory [01] of (.*)$/;
let epoch = 0;
if (existsSync(checkpoint)) {
  const saved = readSafetensors(readFileSync(checkpoint), checkpoint);
  for (const [key, value] of saved.tensors) {
    const made = tensor(device, value.data, value.shape);
    const [, parameter] = MEMORY.exec(key) ?? [];
    if (parameter === undefined) parameters.set(key, made);
    else memories.set(parameter, [...(memories.get(parameter) ?? []), made]);
  }
  epoch = Number(saved.metadata.get('epoch'));
  console.error(`resumed after epoch ${epoch}`);
} else {
  initialise(recipe, random(recipe.seed));
}

/** He's initialisation (2015) for weights, ones and zeros for the rest; what is frozen is given. */
function initialise({ graph, frozen = new Map() }: Recipe, next: Random): void {
  for (const [key, { data, shape }] of frozen) parameters.set(key, tensor(device, data, shape));
  for (const node of graph.nodes) {
    for (const [short, { key, shape }] of Object.entries(node.parameters)) {
      if (frozen.has(key)) continue;
      const size = shape.reduce((product, n) => product * n, 1);
      const deviation = Math.sqrt(2 / (size / shape[0]!));
      const ones = short === 'variance' || (short === 'weight' && shape.length === 1);
      const fill = shape.length > 1 ? () => normal(next) * deviation : () => (ones ? 1 : 0);
      parameters.set(key, tensor(device, Float32Array.from({ length: size }, fill), shape));
    }
  }
}

/** A batch's tensors on the device, by their names. */
const onDevice = (tensors: Batch['inputs']): Map<string, Tensor> =>
  new Map(Object.entries(tensors).map(([key, { data, shape }]) => [key, tensor(device, data, shape)]));

/** One step: gradients of the loss, then the parameters' next values. Returns the loss. */
function step(batch: Batch, rate: number): Tensor {
  return scope(() => {
    const inputs = onDevice(batch.inputs);
    const targets = Object.fromEntries(onDevice(batch.targets));
    const statistics = new Map<string, { mean: Tensor; variance: Tensor }>();
    const loss = (...values: Tensor[]): Tensor => {
      const all = new Map(parameters);
      trained.forEach((key, i) => {
        all.set(key, values[i]!);
      });
      const { output } = recipe.graph;
      const { explained = output } = recipe;
      const found = evaluate(recipe.graph, all, inputs, [output, explained], statistics);
      return recipe.loss(found.get(output)!, targets, epoch, {
        value: found.get(explained)!,
        logitsOf: (value) =>
          evaluate(recipe.graph, all, new Map([[explained, value]]), [output]).get(output)!,
      });
    };
    // Not valueAndGrad: its scope would end the statistics with the forward pass.
    const { value, pullback } = vjp(
      loss,
      trained.map((key) => parameters.get(key)!),
    );
    const gradients = pullback(full(device, value.shape, 1));
    const byKey = new Map(trained.map((key, i) => [key, gradients[i]!]));
    takeStep(recipe.update, parameters, memories, byKey, rate);
    const kept: Tensor[] = trained.flatMap((key) => [parameters.get(key)!, ...memories.get(key)!]);
    for (const [node, { mean, variance }] of statistics) {
      for (const [short, batch] of [
        ['running_mean', mean],
        ['running_var', variance],
      ] as const) {
        const key = `${node}.${short}`;
        const old = parameters.get(key)!;
        const mixed = mix(old, batch);
        old.dispose();
        parameters.set(key, mixed);
        kept.push(mixed);
      }
    }
    return [stopGradient(value), kept] as const;
  })[0];
}

function mix(old: Tensor, batch: Tensor): Tensor {
  return add(scale(old, 1 - RUNNING_MOMENTUM), scale(batch, RUNNING_MOMENTUM));
}

/** Output for the whole test set, batch by batch, scored by the recipe. */
async function accuracy(): Promise<Record<string, number>> {
  const score = recipe.scorer();
  for (let start = 0; start < recipe.testCount; start += recipe.batch) {
    const count = Math.min(recipe.batch, recipe.testCount - start);
    const batch = await recipe.testBatch(start, count);
    const output = scope(() => {
      const { graph } = recipe;
      return evaluate(graph, parameters, onDevice(batch.inputs), [graph.output]).get(graph.output)!;
    });
    score.add(await output.data(), batch);
    output.dispose();
  }
  return score.result();
}

async function hostTensors(from: Iterable<readonly [string, Tensor]>): Promise<[string, HostTensor][]> {
  const out: [string, HostTensor][] = [];
  for (const [key, value] of from) out.push([key, { shape: value.shape, data: await value.data() }]);
  return out;
}

function save(file: string, bytes: Uint8Array): void {
  writeFileSync(`${file}.part`, bytes);
  renameSync(`${file}.part`, file);
}

const stepsPerEpoch = Math.floor(perEpoch / recipe.batch);
for (; epoch < epochs; epoch++) {
  const next = random(recipe.seed + 1 + epoch);
  const order = permutation(recipe.trainCount, next);
  const bar = new progress.SingleBar({
    format: `epoch ${epoch + 1}/${epochs} {bar} {value}/{total} loss {loss} eta {eta_formatted}`,
    stream: process.stderr,
    noTTYOutput: true,
    notTTYSchedule: 20_000,
  });
  bar.start(stepsPerEpoch, 0, { loss: '-' });
  for (let i = 0; i < stepsPerEpoch; i++) {
    const batch = await recipe.trainBatch(order.subarray(i * recipe.batch, (i + 1) * recipe.batch), next);
    const rate = learningRate(recipe.rate, (epoch + i / stepsPerEpoch) / epochs);
    const loss = step(batch, rate);
    // Reading now and then keeps the queue short and shows the loss.
    if (i % 10 === 0) bar.update(i, { loss: (await loss.data())[0]!.toFixed(3) });
    loss.dispose();
  }
  bar.stop();
  const remembered = [...memories].flatMap(([key, memory]) =>
    memory.map((value, i) => [`memory ${i} of ${key}`, value] as const),
  );
  const tensors = await hostTensors([...parameters, ...remembered]);
  save(
    checkpoint,
    writeSafetensors(tensors, { dtype: 'F32', metadata: new Map([['epoch', String(epoch + 1)]]) }),
  );
  if (epoch % 4 === 3) console.error(`after epoch ${epoch + 1}:`, await accuracy());
}

const result = await accuracy();
const weights = writeSafetensors(await hostTensors(parameters), {
  dtype: 'F16',
  metadata: new Map([
    ['network', name],
    ['epochs', String(epochs)],
    ['seed', String(recipe.seed)],
  ]),
});
save(`${folder}/${name}.safetensors`, weights);
console.log(JSON.stringify({ name, epochs, bytes: weights.length, ...result }));
