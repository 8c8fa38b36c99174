// Progress of slow methods on standard error, only where a person watches.

import progress from 'cli-progress';

/** Called with a method's name and the share done; `done` removes the line. */
export type ProgressLine = ((method: string, share: number) => void) & { readonly done: () => void };

export function progressLine(title: string): ProgressLine {
  const bar = new progress.SingleBar({
    format: `${title} {method} {bar} {percentage} %`,
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  let started = false;
  const report = (method: string, share: number) => {
    if (!started) bar.start(1, 0, { method });
    started = true;
    bar.update(share, { method });
  };
  return Object.assign(report, { done: () => bar.stop() });
}
