// limelight tune: measures which kernels are the fastest on a device, for every later use of it.

import { closeDevice, openDevice, tune } from '../../engine/index.ts';
import { figures } from '../../kernels/profile.ts';
import { deviceLine } from './pipeline.ts';
import { note, print } from './progress.ts';
import { table } from './report.ts';

export interface TuneArguments {
  readonly device?: string;
  readonly seconds: number;
}

export async function tuneCommand({ device: adapter, seconds }: TuneArguments): Promise<void> {
  const device = await openDevice({ tuned: false, ...(adapter !== undefined && { adapter }) });
  try {
    note(deviceLine(device));
    const { class: of, figures: found, gains, complete, kept } = await tune(device, { seconds });
    const chosen = Object.entries(found).map(([name, value]) => [
      name,
      String(figures[name as keyof typeof figures][of]),
      String(value),
    ]);
    if (of !== device.profile.class)
      print(`kernels for ${of} are faster here than those for ${device.profile.class}\n`);
    if (chosen.length > 0) print(`${table(['figure', 'usual', 'chosen'], chosen)}\n`);
    const measured = gains.map(({ name, before, after }) => [
      name,
      before.toFixed(3),
      after.toFixed(3),
      `${(before / after).toFixed(2)} x`,
    ]);
    if (measured.length > 0) print(`${table(['what', 'before, ms', 'after, ms', 'faster'], measured)}\n`);
    else print('the usual figures are the best ones here\n');
    if (!complete) note(`not everything was tried in ${seconds} s; --seconds gives it longer`);
    note(`kept in ${kept}, and used from now on`);
  } finally {
    closeDevice(device);
  }
}
