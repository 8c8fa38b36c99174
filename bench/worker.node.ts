// The process of one engine: answers the requests of protocol.ts until the measuring process goes away.

import { suites } from './cases.ts';
import { comparableLogits, sampleOf } from './compare.ts';
import type { Engine, Prepared } from './engines/engine.ts';
import { engines } from './engines/index.ts';
import type { Problem } from './problems.ts';
import type { Reply, Request, RequestName, Requests } from './protocol.ts';

let engine: Engine;
/** Prepared cases, by case and variant. */
const prepared = new Map<string, Map<string | undefined, Prepared>>();

const problems = new Map(
  Object.values(suites)
    .flat()
    .map((c) => [c.name, c.problem]),
);

function problemOf(name: string): Problem {
  const problem = problems.get(name);
  if (problem === undefined) throw new RangeError(`no case is named "${name}"`);
  return problem;
}

type Handlers = { [K in RequestName]: (ask: Requests[K]['ask']) => Promise<Requests[K]['answer']> };

const handlers: Handlers = {
  async open({ engine: name }) {
    engine = await engines[name]!();
    return { adapter: engine.adapter, version: engine.version };
  },
  async variants({ case: name }) {
    return engine.variants?.(problemOf(name)) ?? [];
  },
  async prepare({ case: name, variant }) {
    const problem = problemOf(name);
    const start = performance.now();
    const made = await engine.prepare(problem, variant);
    const known = prepared.get(name) ?? new Map<string | undefined, Prepared>();
    prepared.set(name, known.set(variant, made));
    const result = await made.run(1);
    const first = performance.now() - start;
    const ordered = made.ordered?.(result) ?? result;
    const rows = problem.op === 'forward' ? problem.batch : undefined;
    return { first, check: sampleOf(rows === undefined ? ordered : comparableLogits(ordered, rows)) };
  },
  async run({ case: name, variant, times }) {
    const { run } = prepared.get(name)!.get(variant)!;
    const start = performance.now();
    await run(times);
    return performance.now() - start;
  },
  async dispose({ case: name }) {
    for (const made of prepared.get(name)?.values() ?? []) made.dispose();
    prepared.delete(name);
    return null;
  },
  async peaks() {
    if (engine.peaks === undefined) throw new RangeError('this engine measures no peaks');
    return engine.peaks();
  },
};

const answer = <K extends RequestName>(name: K, ask: Requests[K]['ask']) => handlers[name](ask);

process.on('message', (request: Request) => {
  const { name, ...ask } = request;
  // The compiler does not see that a name and what is asked under it go together.
  (answer(name, ask as never) as Promise<Requests[RequestName]['answer']>).then(
    (found) => process.send!({ answer: found } satisfies Reply),
    (error: unknown) => {
      const said = error instanceof Error ? error.message || String(error) : String(error);
      process.send!({ error: said } satisfies Reply);
    },
  );
});
process.on('disconnect', () => process.exit(0));
