// What the kernels chosen for GPUs take of one. The compiler is a real one where its packages are; the rest runs anywhere.

import test from 'tape';
import { kernelCases, networkCases } from '../../bench/cases.ts';
import { compileFor, missing } from '../../bench/occupancy/driver.node.ts';
import { dispatchesOf, occupancyOf } from '../../bench/occupancy/radv.ts';

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
