// The one device that the tests of this process share, opened when the first test asks for it.

import { type Device, openDevice } from '../engine/index.ts';

let opened: Promise<Device> | undefined;

/** The shared device; LIMELIGHT_DEVICE chooses the adapter. Its figures are not those that were tuned on this machine. */
export function device(): Promise<Device> {
  opened ??= openDevice({ tuned: false });
  return opened;
}
