// Faults in the file system, put between the program and Node: every call may be held up, or fail.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Called before each call, by the function's name; what it throws, or rejects with, is the call's failure. */
export type Fault = (name: string) => unknown;

type Functions = Record<string, (...args: unknown[]) => unknown>;

/** Runs `body`, meanwhile functions of node:fs and node:fs/promises whose names fit `which` meet `fault` first. */
export async function withFaults<T>(which: RegExp, fault: Fault, body: () => Promise<T>): Promise<T> {
  const undo: (() => void)[] = [];
  for (const functions of [fs, fs.promises] as unknown as Functions[]) {
    for (const [name, original] of Object.entries(functions)) {
      if (typeof original !== 'function' || !which.test(name)) continue;
      const isPromised = functions === (fs.promises as unknown as Functions);
      if (!isPromised && !name.endsWith('Sync')) continue;
      functions[name] = isPromised
        ? async (...args) => {
            await fault(name);
            return original.apply(functions, args);
          }
        : (...args) => {
            fault(name);
            return original.apply(functions, args);
          };
      undo.push(() => {
        functions[name] = original;
      });
    }
  }
  syncBuiltinESMExports();
  try {
    return await body();
  } finally {
    for (const one of undo) one();
    syncBuiltinESMExports();
  }
}
