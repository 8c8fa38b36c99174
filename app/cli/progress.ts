// What is said on stderr while a command runs: notes, and bars on a terminal.

import { PassThrough } from 'node:stream';
import { Presets, SingleBar } from 'cli-progress';
import { visibleLines } from '../../engine/visible.ts';
import { cachedFile, mirrored } from '../../models/hub/cache.node.ts';
import type { RemoteFile } from '../../models/hub/remote-file.ts';

let said: 'errors' | 'notes' | 'everything' = 'notes';
export const isVerbose = (): boolean => said === 'everything';
/** Has everything said from now on, what drivers print among it. */
export const beVerbose = (): void => {
  said = 'everything';
};
/** Has nothing but errors said from now on. */
export const beQuiet = (): void => {
  said = 'errors';
};

/** Says what is wrong on stderr, lines that end with one; nothing in it steers the terminal. */
export const complain = (text: string): void => {
  process.stderr.write(visibleLines(text));
};

/** Says a line on stderr, unless the command is to be quiet. */
export const note = (text: string): void => {
  if (said !== 'errors') complain(`${text}\n`);
};

/** Gives a result, lines that end with one, on stdout; nothing in it steers the terminal. */
export const print = (text: string): void => {
  process.stdout.write(visibleLines(text));
};

/** A bar that is drawn where stderr is a terminal, and leaves nothing behind. */
export const bar = (format: string): SingleBar =>
  new SingleBar(
    {
      // Nothing is drawn on what is no terminal.
      stream: said === 'errors' ? new PassThrough().resume() : process.stderr,
      clearOnComplete: true,
      format,
    },
    Presets.shades_classic,
  );

/** Long enough not to fill a log, short enough for somebody who wonders whether anything goes on. */
const BEAT_MS = 10_000;

/** What a bar says, for where none is drawn: a line now and then, none for what is soon done. */
export function heartbeat(say = note, now = () => performance.now()): (line: string) => void {
  let last = now();
  return (line) => {
    if (process.stderr.isTTY || now() - last < BEAT_MS) return;
    last = now();
    say(line);
  };
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e6 ? 2 : 1);

/** The path of a hub's file in the cache; a download is announced and shown. */
export async function fetchFile(remote: RemoteFile): Promise<string> {
  const shown = bar(`${remote.name} {bar} {percentage} %, {eta_formatted} left`);
  let begun = false;
  try {
    return await cachedFile(remote, {
      note,
      progress(received, total = remote.bytes) {
        if (!begun) {
          const host = new URL(mirrored(remote.url)).host;
          const rest = received > 0 ? `, of which ${megabytes(received)} MB are here already` : '';
          note(`downloading ${remote.name} from ${host}: ${megabytes(total)} MB${rest}`);
          shown.start(total, received);
          begun = true;
        }
        shown.update(received);
      },
    });
  } finally {
    shown.stop();
  }
}
