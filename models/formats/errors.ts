// The typed error of the file formats, and where in a file it arose.

import { LimelightError } from '../../engine/errors.ts';

/** A file is malformed, lies about its contents, or uses a part of its format that is not supported. */
export class FormatError extends LimelightError {}

/** A file has several outputs that could be explained; which is meant must be said. */
export class OutputError extends FormatError {
  /** Their names. */
  readonly outputs: readonly string[];

  constructor(message: string, outputs: readonly string[]) {
    super(message);
    this.outputs = outputs;
  }
}

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
