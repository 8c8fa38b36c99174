// Faults in the file system, put between the program and Node: every call may be held up, or fail.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Called before each call, by the function's name; what it throws, or rejects with, is the call's failure. */
export type Fault = (name: string) => unknown;

type Functions = Record<string, (...args: unknown[]) => unknown>;

/**
 * Runs `body`, meanwhile the functions of node:fs that end in Sync, those of node:fs/promises and of its open files meet
 * `fault` first, where their names fit `which`.
 */
export async function withFaults<T>(which: RegExp, fault: Fault, body: () => Promise<T>): Promise<T> {
  const undo: (() => void)[] = [];
  const replace = (functions: Functions, isPromised: boolean) => {
    for (const name of Object.getOwnPropertyNames(functions)) {
      const original = functions[name];
      if (typeof original !== 'function' || !which.test(name)) continue;
      if (!isPromised && !name.endsWith('Sync')) continue;
      functions[name] = isPromised
        ? async function (this: unknown, ...args) {
            await fault(name);
            return original.apply(this, args);
          }
        : (...args) => {
            fault(name);
            return original.apply(functions, args);
          };
      undo.push(() => {
        functions[name] = original;
      });
    }
  };
  const file = await fs.promises.open(process.execPath);
  await file.close();
  replace(fs as unknown as Functions, false);
  replace(fs.promises as unknown as Functions, true);
  replace(Object.getPrototypeOf(file) as Functions, true);
  syncBuiltinESMExports();
  try {
    return await body();
  } finally {
    for (const one of undo) one();
    syncBuiltinESMExports();
  }
}
