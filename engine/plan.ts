// The interpreter of plans: allocates what passes between launches, keeps what is made of weights, and frees the rest.

import type { Launch, SizedLaunch } from '../kernels/kernel.ts';
import type { Plan } from '../kernels/plan.ts';
import type { Profile } from '../kernels/profile.ts';
import { type Device, run } from './device.ts';
import { allocate, keep, release, retain, type Storage } from './memory.ts';
import { remembered } from './remember.ts';

/** Plans that are kept for one profile; a network of a hundred layers has as many for each size of its input. */
const MOST_PLANS = 1024;
const plansOf = remembered((_: Profile) => new Map<string, Plan>());

/** The plan of what `of` says, made once for a profile: a network asks for the same ones each time that it runs. */
export function planned(profile: Profile, of: readonly unknown[], make: () => Plan): Plan {
  const plans = plansOf(profile);
  const key = JSON.stringify(of);
  const plan = plans.get(key) ?? make();
  if (plans.size >= MOST_PLANS) plans.clear();
  plans.set(key, plan);
  return plan;
}

/** Computes a plan on the caller's `buffers`, which it names; `purpose` names the caller in errors. */
export function runPlan(
  device: Device,
  plan: Plan,
  buffers: Readonly<Record<string, Storage>>,
  purpose: string,
): void {
  const made = new Map<string, Storage>();
  try {
    for (const [i, { launch, reads, writes, elements, kept }] of plan.entries()) {
      const inputs = reads.map((name) => made.get(name) ?? buffers[name]!);
      let output = buffers[writes] ?? made.get(writes);
      if (output === undefined) {
        const fresh = () => allocate(device.memory, elements * 4, purpose);
        output = kept ? keptCopy(device, { launch, elements }, inputs[0]!, purpose) : fresh();
        retain(output);
        made.set(writes, output);
      }
      if (!kept) run(device, launch, inputs, output);
      for (const [name, temporary] of made) {
        if (plan.some((later, j) => j > i && (later.reads.includes(name) || later.writes === name))) continue;
        made.delete(name);
        release(temporary);
      }
    }
  } finally {
    for (const temporary of made.values()) release(temporary);
  }
}

const nameOf = remembered((launch: Launch) => JSON.stringify(launch));

/** What a launch makes of `input`, made once for as long as that lives and is not written again. */
function keptCopy(device: Device, sized: SizedLaunch, input: Storage, purpose: string): Storage {
  const { launch, elements } = sized;
  return keep(input, nameOf(launch), () => {
    const copy = allocate(device.memory, elements * 4, purpose);
    try {
      run(device, launch, [input], copy);
    } catch (error) {
      release(copy);
      throw error;
    }
    return copy;
  });
}
