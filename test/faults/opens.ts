// Opens, uses and closes devices, and prints the megabytes that each has cost and that all took at most (opens.test.ts).
// The first ones are not counted as kept: the allocator has to reach its high-water mark, which it does not give back.
// Prints null where there is no such device.

import { add, closeDevice, NoDeviceError, openDevice, tensor } from '../../engine/index.ts';

const count = Number(process.argv[2]);
const first = Number(process.argv[3]);
const resident = () => process.memoryUsage().rss / 2 ** 20;
const next = () => new Promise<void>((done) => setImmediate(done));

async function once(turn: number): Promise<void> {
  const device = await openDevice();
  const sum = add(tensor(device, [1, 2, 3], [3]), tensor(device, [1, 1, 1], [3]));
  const read = sum.data();
  // Every other one is closed while it is waited for.
  if (turn % 2 === 0) {
    const [two] = await read;
    if (two !== 2) throw new Error(`1 + 1 is ${two}`);
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
const start = resident();
let most = start;
async function several(turns: number): Promise<number> {
  for (let i = 0; i < turns; i++) {
    await once(i);
    most = Math.max(most, resident());
  }
  for (let i = 0; i < 3; i++) {
    globalThis.gc!();
    await next();
  }
  return resident();
}
const before = await several(first);
const after = await several(count);
console.log(JSON.stringify({ each: (after - before) / count, most: most - start }));
