// What a user can get wrong on the command line, and what becomes of errors.

import { CommanderError } from 'commander';
import { LimelightError, UnknownAdapterError } from '../../engine/errors.ts';
import { visibleLines } from '../../engine/visible.ts';

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

/** What the machine may lack, by the system's error codes: no fault of the program. */
const shortages: Readonly<Record<string, string>> = {
  EMFILE: 'this process may open no more files; raise the limit, as by ulimit -n 256',
  ENFILE: 'this machine may open no more files',
  ENOMEM: 'this machine has no more memory',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the disk quota is used up',
  EIO: 'reading or writing failed',
  ERR_MODULE_NOT_FOUND:
    'a part of the program cannot be loaded; install it again, or let it open more files, as by ulimit -n 256',
};

/** An error on stderr: one clear line for those thrown on purpose, with a stack for bugs or if LIMELIGHT_DEBUG is set. */
export function describeError(error: unknown): string {
  // It has said everything already.
  if (error instanceof CommanderError) return '';
  if (!(error instanceof Error)) return visibleLines(`limelight: ${error}\n`);
  const shortage = shortages[(error as NodeJS.ErrnoException).code ?? ''];
  const plain = shortage ? `${shortage} (${error.message})` : error.message;
  const isExpected = error instanceof LimelightError || shortage !== undefined;
  return visibleLines(
    `limelight: ${isExpected && !process.env.LIMELIGHT_DEBUG ? plain : (error.stack ?? plain)}\n`,
  );
}

/** 0 after help, 2 for bad usage, else 1. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return error instanceof UsageError || error instanceof UnknownAdapterError ? 2 : 1;
}
