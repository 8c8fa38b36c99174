// What a user can get wrong on the command line, and what becomes of errors.

import { LimelightError } from '../../engine/index.ts';

/** The command line asks for something that does not exist; exit code 2. */
export class UsageError extends LimelightError {}

/** Runs a look-up by a name from the command line; where it finds nothing, that is bad usage. */
export function asUsage<T>(find: () => T): T {
  try {
    return find();
  } catch (cause) {
    if (cause instanceof LimelightError) throw new UsageError(cause.message, { cause });
    throw cause;
  }
}

/** An error on stderr: one clear line for those thrown on purpose, with a stack for bugs or if LIMELIGHT_DEBUG is set. */
export function describeError(error: unknown): string {
  const plain = error instanceof LimelightError && !process.env.LIMELIGHT_DEBUG;
  const text =
    error instanceof Error ? (plain ? error.message : (error.stack ?? error.message)) : String(error);
  return `limelight: ${text}\n`;
}
