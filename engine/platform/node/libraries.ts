// Shared libraries and the environment, as the drivers inside this process see them.

import { constants } from 'node:os';
import { messageOf } from '../errors.ts';

/** Not among Node's constants; the value is glibc's. */
const RTLD_NODELETE = 0x1000;

/**
 * Loads a shared library for good, so that Dawn finds it when it asks for its SONAME later. `file` is a path,
 * or a name to be found as Dawn would find it. Throws the loader's message when that fails.
 */
export function loadLibrary(file: string): void {
  try {
    process.dlopen({ exports: {} }, file, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  } catch (error) {
    // Node and Bun expect add-ons and complain after the library is in; NODELETE makes it stay.
    if (!/did not self-register|napi_register_module_v1/.test(messageOf(error))) throw error;
  }
}

/**
 * Runs `body` with environment variables that native code in this process sees too, and puts back what was
 * there before. Runs must not overlap.
 */
export async function withEnvironment<T>(
  variables: Record<string, string>,
  body: () => Promise<T>,
): Promise<T> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    return await body();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
