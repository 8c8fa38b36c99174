// What the kernels chosen for GPUs take of one. The compiler is a real one where its packages are; the rest runs anywhere.

import test from 'tape';
import { kernelCases, networkCases } from '../../bench/cases.ts';
import { compileFor, missing } from '../../bench/occupancy/driver.node.ts';
import { peerWorkgroups, productsOf, workgroups } from '../../bench/occupancy/peers.ts';
import { dispatchesOf, occupancyOf } from '../../bench/occupancy/radv.ts';
import { dryDevice } from '../../engine/index.ts';
import { catalogEntry } from '../../models/index.ts';

test("occupancy: read from the driver's lines", (t) => {
  const stats = (registers: number) =>
    `*** SHADER STATS ***\nVGPRs: ${registers}\nSpilled VGPRs: 3\nLDS size: 512\nSubgroups per SIMD: 8\n`;
  const log = `warning\n\n@@compiled a 64 T,4\nshader: x\n${stats(24)}\n@@end\n\n@@compiled b 8\n${stats(40)}\n@@end\n`;
  const found = occupancyOf(log);
  t.deepEqual([...found.keys()], ['a 64 T,4', 'b 8']);
  t.deepEqual(found.get('a 64 T,4'), { registers: 24, spilled: 3, shared: 512, waves: 8 });
  t.equal(found.get('b 8')!.registers, 40, 'each of its own lines');
  t.throws(() => occupancyOf('\n@@compiled a 64\nVGPRs: 1\n@@end\n'), /does not say "Spilled VGPRs" of a 64/);
  const dispatch = { case: 'one', label: 'a 64', workgroups: 6 };
  t.deepEqual(dispatchesOf(`${JSON.stringify(dispatch)}\nnoise\n`), [dispatch]);
  t.end();
});

test("occupancy: no product of the networks has fewer workgroups than half of the best peer's", (t) => {
  const { profile } = dryDevice();
  for (const [network, ...input] of [
    ['squeezenet1_0', 3, 224, 224],
    ['resnet20', 3, 32, 32],
    ['digit-scenes', 1, 64, 64],
    ['digit-dense', 1, 28, 28],
  ] as const) {
    const products = productsOf(catalogEntry(network).graph, [1, ...input]);
    t.ok(products.size > 3, `${network}: ${products.size} products`);
    for (const [layer, product] of products) {
      const [here, there] = [workgroups(product, profile), peerWorkgroups(product)];
      t.ok(2 * here >= there, `${network}, ${layer}: ${here} workgroups, ${there} of peers`);
    }
  }
  // As counted in their engines: 512 x 512, 1x1 of 256 to 64 channels, 3x3 of 64 to 64.
  const conv = { op: 'conv2d', batch: 1, groups: 1, outChannels: 64 } as const;
  const counted = [
    peerWorkgroups({ op: 'matmul', m: 512, n: 512, k: 512 }),
    peerWorkgroups({ ...conv, inChannels: 256, size: [28, 28], kernel: 1 }),
    peerWorkgroups({ ...conv, inChannels: 64, size: [56, 56], kernel: 3 }),
  ];
  t.deepEqual(counted, [256, 50, 196]);
  t.end();
});

const lack = missing();
const skip = lack === undefined ? {} : { skip: lack };

test('occupancy: no kernel chosen for a GPU spills on RDNA2 or takes over 128 registers', skip, async (t) => {
  const networks = process.env.LIMELIGHT_ASSETS === undefined ? [] : networkCases;
  const { occupancy, dispatches } = await compileFor(
    'navi21',
    [...kernelCases, ...networks].map(({ name }) => name),
  );
  t.ok(
    kernelCases.every(({ name }) => dispatches.some((d) => d.case === name)),
    'every case ran',
  );
  for (const [label, { registers, spilled }] of occupancy)
    t.ok(spilled === 0 && registers <= 128, `${label}: ${registers} registers, ${spilled} spilled`);
});
