// The one device that the tests of this process share, opened when the first test asks for it.

import { type Device, openDevice } from '../engine/index.ts';
import { type DeviceClass, deviceClasses } from '../kernels/profile.ts';

/** The class whose kernels the tests are for, where it is not the adapter's: see adapters.ts. */
const profile = deviceClasses.find((of) => of === process.env.LIMELIGHT_TEST_CLASS);

let opened: Promise<Device> | undefined;

/** A device as if it were of a class. */
export const asClass = (on: Device, of: DeviceClass): Device => ({
  ...on,
  profile: { ...on.profile, class: of },
});

/** The shared device; LIMELIGHT_DEVICE chooses the adapter. Its figures are not those that were tuned on this machine. */
export function device(): Promise<Device> {
  opened ??= openDevice({ tuned: false, ...(profile && { profile }) });
  return opened;
}
