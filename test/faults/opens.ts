// Opens, uses and closes devices, and prints the megabytes that each has cost, after collecting and at most before
// (opens.test.ts). Prints null where there is no such device.

import { add } from '../../engine/index.ts';
import { closeDevice, NoDeviceError, openDevice, tensor } from '../../index.ts';

const count = Number(process.argv[2]);
const resident = () => process.memoryUsage().rss / 2 ** 20;
const next = () => new Promise<void>((done) => setImmediate(done));

async function once(turn: number): Promise<void> {
  const device = await openDevice();
  const sum = add(tensor(device, [1, 2, 3], [3]), tensor(device, [1, 1, 1], [3]));
  const read = sum.data();
  // Every other one is closed while it is waited for.
  if (turn % 2 === 0) {
    const [first] = await read;
    if (first !== 2) throw new Error(`1 + 1 is ${first}`);
    closeDevice(device);
  } else {
    closeDevice(device);
    await read.catch(() => {});
  }
  await next();
}

try {
  closeDevice(await openDevice());
} catch (error) {
  if (!(error instanceof NoDeviceError)) throw error;
  console.log('null');
  process.exit();
}
for (let i = 0; i < 20; i++) await once(i);
globalThis.gc!();
const before = resident();
let most = before;
for (let i = 0; i < count; i++) {
  await once(i);
  most = Math.max(most, resident());
}
for (let i = 0; i < 3; i++) {
  globalThis.gc!();
  await next();
}
console.log(JSON.stringify({ each: (resident() - before) / count, most: most - before }));
