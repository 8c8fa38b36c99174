// What the kernels chosen for GPUs take of one, from its real compiler and without the GPU:
//   npm run occupancy [-- navi21 navi31]
// The second table is of whole networks at batch 1; those that are not shipped lie where LIMELIGHT_ASSETS says.

import Table from 'cli-table3';
import { kernelCases, networkCases } from '../cases.ts';
import { type Compiled, compileFor, gpus, missing } from './driver.node.ts';

const lack = missing();
if (lack !== undefined) {
  console.error(`occupancy: ${lack}`);
  process.exit(1);
}
const asked = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(gpus);
const networks = networkCases.filter(({ problem }) => problem.op !== 'forward' || problem.batch === 1);
const measured = process.env.LIMELIGHT_ASSETS === undefined ? [] : networks;
const names = [...kernelCases, ...measured].map(({ name }) => name);
const found = new Map<string, Compiled>();
for (const gpu of asked) found.set(gpu, await compileFor(gpu, names));
const [first] = [...found.values()] as [Compiled];

/** The constants that tell the variants of a kernel apart in front of a reader. */
const telling = /^(THREADS_[MN]|ROW_VECTORS|COLUMN_VECTORS|ROWS|TILE_ROWS|KERNEL_Y|STRIDE_Y|OP|LOG)$/;
function shortened(label: string): string {
  const [kernel, size, ...constants] = label.split(' ');
  const told = constants.map((c) => c.split(',')).filter(([name]) => telling.test(name!));
  return [kernel, ...told.map(([name, value]) => `${name!.toLowerCase()} ${value}`), `(${size})`].join(' ');
}

const occupancyIn = (label: string) =>
  [...found.values()].map(({ occupancy }) => {
    const { registers, spilled, waves } = occupancy.get(label)!;
    return `${registers} / ${spilled} / ${waves}`;
  });
const style = { head: [], border: [], compact: true };
const kernels = new Table({
  head: [
    'case',
    'kernel (threads)',
    'workgroups',
    ...asked.map((gpu) => `${gpu}: registers / spilled / waves`),
  ],
  style,
});
const seen = new Set<string>();
for (const { case: name, label, workgroups } of first.dispatches) {
  if (!kernelCases.some((c) => c.name === name)) continue;
  kernels.push([seen.has(name) ? '' : name, shortened(label), workgroups, ...occupancyIn(label)]);
  seen.add(name);
}
console.log(kernels.toString());

const whole = new Table({
  head: [
    'network',
    'launches',
    'workgroups: least',
    'median',
    ...asked.map((gpu) => `${gpu}: most registers, spilled`),
  ],
  style,
});
for (const { name } of measured) {
  const ofCase = first.dispatches.filter((d) => d.case === name);
  const groups = ofCase.map(({ workgroups }) => workgroups).sort((a, b) => a - b);
  const worst = [...found.values()].map(({ occupancy }) => {
    const of = ofCase.map(({ label }) => occupancy.get(label)!);
    const [registers, spilled] = [of.map((o) => o.registers), of.map((o) => o.spilled)];
    return `${Math.max(...registers)}, ${Math.max(...spilled)}`;
  });
  whole.push([name, ofCase.length, groups[0]!, groups[groups.length >> 1]!, ...worst]);
}
if (measured.length > 0) console.log(whole.toString());
