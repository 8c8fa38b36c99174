// The worker: everything that takes time, so that the page never stands still. One task at a time, on one device. It is
// ended and started again where a task is cancelled or the device is lost.

import { gpuOf } from '../../../engine/device.ts';
import { type Device, DeviceLostError, flush, NoDeviceError, openDevice } from '../../../engine/index.ts';
import { messageOf } from '../../../engine/platform/errors.ts';
import { opener } from './subject.ts';
import { tasks, type Work } from './tasks.ts';

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
  | { readonly error: { readonly kind: 'no device' | 'lost' | 'failed'; readonly message: string } };

const send = (reply: Reply) => globalThis.postMessage(reply);
const kindOf = (error: unknown) =>
  error instanceof NoDeviceError ? 'no device' : error instanceof DeviceLostError ? 'lost' : 'failed';
const failed = (error: unknown): Reply => ({ error: { kind: kindOf(error), message: messageOf(error) } });

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
