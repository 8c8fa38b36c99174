// What is known of a file on a public hub before it is fetched.

import { LimelightError } from '../../engine/errors.ts';

export interface RemoteFile {
  /** Name in the cache folder. */
  readonly name: string;
  readonly url: string;
  /** About how many bytes; a download that grows more than a tenth beyond is refused. */
  readonly bytes: number;
  /** In hex; undefined where it is not known beforehand: then the first download's is recorded and trusted. */
  readonly sha256?: string;
}

/** A file could not be fetched or does not have the checksum it should; the message says what to do. */
export class HubError extends LimelightError {}
