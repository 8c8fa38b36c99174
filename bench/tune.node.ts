// Measures, on the adapter at hand, what the tables of kernels/ choose between:
//   npm run tune [-- --device gles] [--rounds 9]
// Prints the variants of convolutions beside the one that the table of kernels/conv/variants.ts chooses, and the costs of
// the matrix product's tiles as rows of the table in kernels/matmul/matmul.ts. The tables themselves are changed by
// hand: they are there to be read.

import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { run } from '../engine/device.ts';
import { closeDevice, type Device, openDevice, scope, type Tensor, tensor } from '../engine/index.ts';
import { empty } from '../engine/tensor.ts';
import { chooseConv, convVariants } from '../kernels/conv/variants.ts';
import { NO_EPILOGUE } from '../kernels/kernel.ts';
import { matmulTiled, type Tile, tiles } from '../kernels/matmul/matmul.ts';
import { limelightOn } from './engines/limelight.node.ts';
import { type KernelProblem, randomTensor } from './problems.ts';
import { median } from './statistics.ts';
import { convolutionOf } from './variants.ts';

/** Shapes that networks are made of: [batch, channels in, pixels a side, channels out, kernel, groups]. */
const shapes = [
  [1, 3, 224, 32, 3, 1],
  [1, 64, 56, 64, 3, 1],
  [1, 128, 28, 128, 3, 1],
  [1, 256, 14, 256, 3, 1],
  [1, 512, 7, 512, 3, 1],
  [32, 64, 16, 64, 3, 1],
  [1, 16, 32, 16, 3, 1],
  [1, 32, 16, 32, 3, 1],
  [16, 32, 16, 32, 3, 1],
  [1, 32, 28, 32, 5, 1],
  [1, 144, 28, 144, 3, 144],
  [1, 144, 28, 144, 5, 144],
  [1, 128, 28, 128, 3, 4],
] as const;

type Once = () => Promise<unknown>;

/** Median milliseconds of each, taken in turns after one run of each that is not counted. */
async function inTurns(candidates: ReadonlyMap<string, Once>, rounds: number): Promise<Map<string, number>> {
  const times = new Map([...candidates.keys()].map((name) => [name, [] as number[]]));
  for (const once of candidates.values()) await once();
  for (let round = 0; round < rounds; round++) {
    for (const [name, once] of candidates) {
      const started = performance.now();
      await once();
      times.get(name)!.push(performance.now() - started);
    }
  }
  return new Map([...times].map(([name, all]) => [name, median(all)]));
}

async function tuneConvolutions(device: Device, rounds: number): Promise<string> {
  const engine = limelightOn(device);
  const variants = [...new Set(convVariants.map(({ variant }) => variant))];
  const head = ['input', 'weights', 'groups', ...variants, 'chosen', 'fastest'];
  // No colours: the output is read from files too.
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  for (const [batch, inChannels, side, outChannels, kernel, groups] of shapes) {
    const size = [side, side] as const;
    const problem = {
      op: 'conv2d' as const,
      batch,
      inChannels,
      outChannels,
      size,
      kernel,
      groups,
    } satisfies KernelProblem;
    const candidates = new Map<string, Once>();
    const prepared = [];
    for (const variant of engine.variants!(problem)) {
      const one = await engine.prepare(problem, variant);
      prepared.push(one);
      candidates.set(variant, () => one.run(1));
    }
    const times = await inTurns(candidates, rounds);
    for (const one of prepared) one.dispose();
    const [fastest] = [...times].reduce((best, one) => (one[1] < best[1] ? one : best));
    table.push([
      `[${batch}, ${inChannels}, ${side}, ${side}]`,
      `[${outChannels}, ${inChannels / groups}, ${kernel}, ${kernel}]`,
      groups,
      ...variants.map((variant) => times.get(variant)?.toFixed(2) ?? ''),
      chooseConv(convolutionOf(problem), device.profile).variant,
      fastest,
    ]);
  }
  return table.toString();
}

async function tuneTiles(device: Device, rounds: number): Promise<string> {
  const n = 512;
  const [a, b] = [1, 2].map((seed) => {
    const { data, shape } = randomTensor([n, n], seed);
    return tensor(device, data, shape);
  }) as [Tensor, Tensor];
  const named = (tile: Tile) => `rows: ${tile.rows}, columns: ${tile.columns}`;
  const candidates = new Map(
    tiles.map((tile) => {
      const packed = { aBatch: 0, bRow: n, bBatch: 0 };
      const size = { batch: 1, m: n, n, k: n };
      const { launch } = matmulTiled(size, packed, NO_EPILOGUE, device.profile, tile);
      const once = async () => {
        const y = scope(() => {
          const made = empty(device, [n, n], 'f32', 'tune');
          run(device, launch, [a.storage, b.storage, a.storage, a.storage], made.storage);
          return made;
        });
        await y.data();
        y.dispose();
      };
      return [named(tile), once] as const;
    }),
  );
  const times = await inTurns(candidates, rounds);
  for (const one of [a, b]) one.dispose();
  const best = Math.min(...times.values());
  return [...times].map(([name, ms]) => `  { ${name}, cost: ${(ms / best).toFixed(2)} },`).join('\n');
}

const { values: asked } = parseArgs({
  options: { device: { type: 'string' }, rounds: { type: 'string', default: '9' } },
});
const rounds = Math.max(1, Number(asked.rounds) || 1);
const device = await openDevice(asked.device === undefined ? {} : { adapter: asked.device });
console.log(
  `${device.name} (${device.kind}), medians of ${rounds} rounds in milliseconds, readback included`,
);
console.log(await tuneConvolutions(device, rounds));
console.log(`tiles of the matrix product:\n${await tuneTiles(device, rounds)}`);
closeDevice(device);
