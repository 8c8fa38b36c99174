// Asks tasks of the worker, one after another. Cancelling ends the worker, whatever it is at, and starts another; so does a
// device that is lost.

import { LimelightError } from '../../engine/errors.ts';
import { released } from './press.ts';
import type { Tasks } from './work/tasks.ts';
import type { Reply, Request } from './work/worker.ts';
import workerUrl from './work/worker.ts?worker&url';

/** The task was cancelled, or what it was for is no longer wanted. */
export class CancelledError extends LimelightError {}
/** A task failed in the worker; the message is the library's. */
export class TaskError extends LimelightError {
  /** Of a network's file, one of which must be chosen; none unless that is what failed. */
  readonly outputs: readonly string[];

  constructor(message: string, outputs: readonly string[] = []) {
    super(message);
    this.outputs = outputs;
  }
}
/** There is no device; the page cannot compute. */
export class NoDevice extends LimelightError {}

/** What goes on: shown by whoever listens. */
export interface Activity {
  /** The task that is at work, since when (performance.now), and its share done if it is known; none where all is done. */
  readonly running?: { readonly what: string; readonly since: number; readonly share: number | undefined };
  readonly waiting: number;
}

/** Who asks: choices replace what waits of them, lessons do not. */
type Group = 'choices' | 'lessons';

interface Job {
  readonly task: string;
  readonly given: unknown;
  readonly what: string;
  readonly group: Group;
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
  /** Whether it lost a device already. */
  again: boolean;
}

let worker: Worker | undefined;
let running: (Job & { readonly since: number; share: number | undefined }) | undefined;
let waiting: Job[] = [];
let broken: NoDevice | undefined;

/** Who is told what goes on. */
export const listeners = {
  activity: (_: Activity) => {},
  device: (_: string) => {},
  lost: (_: string) => {},
};

/**
 * Asks a task of the worker; `what` names it for people. Rejects with a CancelledError where it was cancelled or dropped, a
 * TaskError with the library's words, or NoDevice.
 */
export function ask<Name extends keyof Tasks>(
  task: Name,
  given: Parameters<Tasks[Name]>[0],
  what: string,
  group: Group = 'choices',
): ReturnType<Tasks[Name]> {
  const asked = new Promise((resolve, reject) => {
    waiting.push({ task, given, what, group, resolve, reject, again: false });
  });
  next();
  return asked.finally(released) as ReturnType<Tasks[Name]>;
}

/** Forgets what waits for the choices that were; what runs is finished. */
export function dropWaiting(): void {
  drop(({ group }) => group === 'choices');
}

function drop(isDropped: (job: Job) => boolean): void {
  const dropped = waiting.filter(isDropped);
  waiting = waiting.filter((job) => !isDropped(job));
  for (const { reject } of dropped) reject(new CancelledError('no longer wanted'));
}

/** Ends what runs and forgets what waits. */
export function cancel(): void {
  const job = running;
  end();
  drop(() => true);
  job?.reject(new CancelledError(`${job.what} was cancelled`));
  tell();
  start();
}

function tell(): void {
  listeners.activity({ ...(running && { running }), waiting: waiting.length });
}

function next(): void {
  if (!running) {
    const job = waiting.shift();
    if (job && broken) job.reject(broken);
    else if (job) {
      running = { ...job, since: performance.now(), share: undefined };
      start().postMessage({ task: job.task, given: job.given } satisfies Request);
    }
  }
  tell();
}

function end(): void {
  worker?.terminate();
  worker = undefined;
  running = undefined;
}

/** The worker, started if there is none. */
export function start(): Worker {
  if (worker) return worker;
  // By way of a blob: then the page's content policy holds in the worker too, and it can send nothing anywhere either.
  const script = `import ${JSON.stringify(new URL(workerUrl, document.baseURI).href)}`;
  const blob = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  const made = new Worker(blob, { type: 'module' });
  made.onmessage = ({ data }: MessageEvent<Reply>) => hear(data);
  made.onerror = (event) =>
    hear({ error: { kind: 'failed', message: event.message || 'the worker did not start', outputs: [] } });
  worker = made;
  return made;
}

function hear(reply: Reply): void {
  if ('device' in reply) {
    listeners.device(reply.device);
  } else if ('progress' in reply) {
    if (running) running.share = reply.progress;
    tell();
  } else if ('error' in reply && reply.error.kind === 'lost') {
    lose(reply.error.message);
  } else {
    const job = running;
    running = undefined;
    if ('result' in reply) job?.resolve(reply.result as never);
    else {
      const { kind, message, outputs } = reply.error;
      if (kind === 'no device') broken = new NoDevice(message);
      // With what it holds half done.
      if (kind === 'full') end();
      const advice =
        kind === 'full' ? '; here: choose a smaller picture, a smaller network or a later layer' : '';
      job?.reject(broken ?? new TaskError(message + advice, outputs));
    }
    next();
  }
}

/** The device was lost: another worker opens it again, and tries once more what it was at. */
function lose(message: string): void {
  const job = running;
  end();
  listeners.lost(message);
  if (job && !job.again) waiting.unshift({ ...job, again: true });
  else job?.reject(new TaskError(`${message}; ${job.what} asks too much of it: choose something smaller`));
  start();
  next();
}
