// What tests of readers ask of files that are refused.

import type test from 'tape';
import { FormatError } from '../../models/formats/errors.ts';

/** Asks that a call throws a FormatError with such a message. */
export function throwsFormatError(t: test.Test, call: () => unknown, message: RegExp, what: string): void {
  try {
    call();
    t.fail(`${what}: nothing was thrown`);
  } catch (error) {
    t.ok(error instanceof FormatError && message.test(error.message), `${what}: ${error}`);
  }
}
