// An engine in a process of its own, seen from the measuring process: requests out, replies in, and what to do when it
// dies or hangs.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Reply, Request, RequestName, Requests } from './protocol.ts';

export interface EngineProcess {
  readonly name: string;
  readonly adapter: string;
  readonly version: string;
  /** Rejects with the engine's own message, or because the process ended or gave no answer in time. */
  readonly ask: <K extends RequestName>(name: K, ask: Requests[K]['ask']) => Promise<Requests[K]['answer']>;
  readonly isAlive: () => boolean;
  readonly stop: () => void;
}

/** Longest wait for one reply: Score-CAM of a large network takes minutes on a software adapter. */
const PATIENCE_MS = 600_000;

/** The environment without Mesa's disk cache: it would read what an earlier run compiled, and first runs look quick. */
export const freshDriver = (): NodeJS.ProcessEnv => ({
  ...process.env,
  MESA_SHADER_CACHE_DISABLE: 'true',
  MESA_GLSL_CACHE_DISABLE: 'true',
});

/** Starts the process and opens the engine in it. */
export async function openEngine(name: string): Promise<EngineProcess> {
  const child = fork(fileURLToPath(new URL('./worker.node.ts', import.meta.url)), {
    execArgv: ['--conditions=source', '--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: freshDriver(),
  });
  let ended: string | undefined;
  child.once('exit', (code, signal) => {
    ended = `its process ended (${signal ?? `exit code ${code}`})`;
  });
  const stop = () => void child.kill('SIGKILL');

  const send = (request: Request) =>
    new Promise<Reply>((resolve) => {
      const finish = (reply: Reply) => {
        clearTimeout(timer);
        child.off('message', finish).off('exit', died);
        resolve(reply);
      };
      const died = () => finish({ error: ended! });
      const timer = setTimeout(() => {
        finish({ error: `no answer within ${PATIENCE_MS / 1000} s` });
        stop();
      }, PATIENCE_MS);
      child.on('message', finish).on('exit', died);
      if (ended === undefined) child.send(request);
      else died();
    });

  const ask: EngineProcess['ask'] = async (what, asked) => {
    const reply = await send({ name: what, ...asked } as Request);
    if ('error' in reply) throw new Error(reply.error);
    return reply.answer as Requests[typeof what]['answer'];
  };
  try {
    return { name, ...(await ask('open', { engine: name })), ask, isAlive: () => ended === undefined, stop };
  } catch (error) {
    stop();
    throw error;
  }
}
