// Reads the worst files of the readers named, and prints for each what it took: a line before it is read, and one after.

import { readFileSync, writeFileSync } from 'node:fs';
import { isTyped, readers } from './readers.ts';
import { worst } from './worst.ts';

const seconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
/** Megabytes that Linux knows this process to take, now or at most since it was last told to forget. */
const memory = (what: 'VmRSS' | 'VmHWM') =>
  Number(new RegExp(`${what}:\\s*(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
const forgetPeak = () => writeFileSync('/proc/self/clear_refs', '5');

const say = (one: object) => process.stdout.write(`${JSON.stringify(one)}\n`);

for (const reader of process.argv.slice(2)) {
  const { read, good } = readers[reader]!;
  // What is loaded for the first file is not the next one's fault.
  for (const bytes of await good()) await read(bytes);
  for (const [file, make] of Object.entries(worst[reader]!.files)) {
    const bytes = make();
    say({ reader, file });
    globalThis.gc!();
    forgetPeak();
    const [before, began] = [memory('VmRSS'), seconds()];
    let end = 'read';
    try {
      await read(bytes);
    } catch (error) {
      end = isTyped(error) ? 'refused' : String((error as Error)?.stack ?? error);
    }
    const took = { seconds: seconds() - began, megabytes: memory('VmHWM') - before };
    say({ reader, file, bytes: bytes.length, ...took, end });
  }
}
process.exit();
