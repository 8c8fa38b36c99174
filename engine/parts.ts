// Kernels that leave their results in parts: launched, and their parts made one result.

import type { PartsLaunch } from '../kernels/parts.ts';
import { type Choice, chosen, type Reduction, reduced } from '../kernels/reduce/reduce.ts';
import type { Device } from './device.ts';
import type { Storage } from './memory.ts';
import { runPlan } from './plan.ts';

/** Fills `y` by a launch in parts, which are added up, or reduced as `by` says. */
export function runParts(
  device: Device,
  parts: PartsLaunch,
  inputs: readonly Storage[],
  y: Storage,
  by: Reduction = 'sum',
): void {
  const names = inputs.map((_, i) => `input ${i}`);
  const buffers = Object.fromEntries(inputs.map((input, i) => [names[i]!, input]));
  runPlan(device, reduced(parts, names, 'y', by), { ...buffers, y }, parts.launch.kernel);
}

/** Fills `y` with indices of elements of `x`, by a launch in parts of which the best choices are taken. */
export const runChoices = (
  device: Device,
  parts: PartsLaunch,
  choice: Choice,
  x: Storage,
  y: Storage,
): void => runPlan(device, chosen(parts, choice, 'x', 'y'), { x, y }, parts.launch.kernel);
