// The typed errors of the platform layer.

import { LimelightError } from '../errors.ts';

/** A file could not be read; the message names it. */
export class FileError extends LimelightError {}

/** An archive is truncated or lies about its contents. */
export class ArchiveError extends LimelightError {}

/** There is no place to keep files in. */
export class CacheError extends LimelightError {}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
