// The worker: everything that takes time, so that the page never stands still. One task at a time, on one device. It is
// ended and started again where a task is cancelled or the device is lost.

import { gpuOf } from '../../../engine/device.ts';
import {
  type Device,
  DeviceLostError,
  flush,
  KernelError,
  MemoryBudgetError,
  NoDeviceError,
  openDevice,
} from '../../../engine/index.ts';
import { messageOf } from '../../../engine/platform/errors.ts';
import { OutputError } from '../../../models/formats/errors.ts';
import { opener, type Work } from './subject.ts';
import { tasks } from './tasks.ts';

/** What the page sends: a task by name. */
export interface Request {
  readonly task: string;
  readonly given: unknown;
}

/** What it gets: once what device there is or why none, then for each task how far it is, and its end. */
export type Reply =
  | { readonly device: string }
  | { readonly progress: number }
  | { readonly result: unknown }
  | {
      readonly error: {
        readonly kind: Failure;
        readonly message: string;
        readonly outputs: readonly string[];
      };
    };

/** Why a task has no result: after `lost` the device cannot be used any more, after `full` its memory should not be. */
type Failure = 'no device' | 'lost' | 'full' | 'failed';

const send = (reply: Reply) => globalThis.postMessage(reply);
const kinds: readonly (readonly [new (message: string) => Error, Failure])[] = [
  [NoDeviceError, 'no device'],
  [DeviceLostError, 'lost'],
  // What WebGPU refuses is often memory, which it says of a later command than the one that asked.
  [KernelError, 'lost'],
  [MemoryBudgetError, 'full'],
  [RangeError, 'full'],
];
const kindOf = (error: unknown) => kinds.find(([kind]) => error instanceof kind)?.[1] ?? 'failed';
/** The outputs that a file has, where that is what the page must ask for. */
const outputsIn = (error: unknown): readonly string[] =>
  error instanceof OutputError ? error.outputs : error instanceof Error ? outputsIn(error.cause) : [];
const failed = (error: unknown): Reply => ({
  error: { kind: kindOf(error), message: messageOf(error), outputs: outputsIn(error) },
});

const ready = openDevice().then((device) => {
  send({ device: `${device.name} (${device.why})` });
  return { device, open: opener(device), progress: (share: number) => tell(device, share) };
});
ready.catch((error: unknown) => send(failed(error)));

/** Says how far the device is, once it is there: what is recorded is done much later. */
function tell(device: Device, share: number): void {
  flush(device);
  gpuOf(device)
    .queue.onSubmittedWorkDone()
    .then(
      () => send({ progress: share }),
      () => {},
    );
}

globalThis.onmessage = async ({ data }: MessageEvent<Request>) => {
  const work = await ready.catch(() => undefined);
  if (!work) return; // which was said
  const task = (tasks as Record<string, (given: never, work: Work) => Promise<unknown>>)[data.task]!;
  try {
    send({ result: await task(data.given as never, work) });
  } catch (error) {
    send(failed(error));
  }
};
