// The typed error of the file formats, and where in a file it arose.

import { LimelightError } from '../../engine/errors.ts';

/** A file is malformed, lies about its contents, or uses a part of its format that is not supported. */
export class FormatError extends LimelightError {}

/** What `f` gives; of what it refuses the message begins with where that is. */
export function located<T>(where: string, f: () => T): T {
  try {
    return f();
  } catch (cause) {
    // A RangeError is an array too long to make: the file asks for one.
    if (!(cause instanceof LimelightError || cause instanceof RangeError)) throw cause;
    throw new FormatError(`${where}: ${cause.message}`, { cause });
  }
}
