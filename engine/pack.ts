// Buffers in the order in which a kernel wants its input: made by one launch, used by the next.

import type { SizedLaunch } from '../kernels/kernel.ts';
import { type Device, run } from './device.ts';
import { keep, type Storage } from './memory.ts';
import { empty, Tensor, unowned } from './tensor.ts';

/** A buffer filled by one launch from `input`. The caller disposes it. */
export function filled(
  device: Device,
  { launch, elements }: SizedLaunch,
  input: Storage,
  purpose: string,
): Tensor {
  const made = empty(device, [elements], 'f32', purpose);
  run(device, launch, [input], made.storage);
  return made;
}

/** The same, made once for as long as `input` lives: for weights. The caller disposes it just so. */
export function packedOnce(device: Device, sized: SizedLaunch, input: Storage, purpose: string): Tensor {
  const { launch, elements } = sized;
  const name = JSON.stringify(launch);
  let fresh: Tensor | undefined;
  const storage = keep(input, name, () => {
    fresh = unowned(() => filled(device, sized, input, purpose));
    return fresh.storage;
  });
  const handle = new Tensor(device, [elements], storage);
  fresh?.dispose();
  return handle;
}
