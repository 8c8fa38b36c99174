// Taking turns: who runs when and how often, and who is out.

import test from 'tape';
import { type Contestant, takeTurns } from '../../bench/turns.ts';

/** A contestant whose runs take the milliseconds that it says. */
function contestant(engine: string, log: string[], ms: number, over: Partial<Contestant> = {}): Contestant {
  return {
    case: 'made up',
    engine,
    prepare: async () => ({ first: 7, check: [1, 2] }),
    run: async (times) => {
      log.push(`${engine} x ${times}`);
      return ms * times;
    },
    ...over,
  };
}
const turns = { rounds: 5, seconds: 1e6, repeated: true, expected: new Map(), progress: () => {} };

test('turns: each runs once a round, as often as lets a sample take long enough', async (t) => {
  const log: string[] = [];
  const shares: number[] = [];
  const measured = await takeTurns([contestant('a', log, 0.5), contestant('b', log, 2)], {
    ...turns,
    progress: (share) => shares.push(share),
  });
  const rounds = log.slice(-10);
  for (let r = 0; r < 5; r++) t.deepEqual(rounds.slice(2 * r, 2 * r + 2).sort(), ['a x 40', 'b x 16']);
  t.deepEqual(measured[0], {
    case: 'made up',
    engine: 'a',
    outcome: { first: 7, samples: [0.5, 0.5, 0.5, 0.5, 0.5], repeats: 40, difference: 0 },
  });
  t.deepEqual(shares, [0.2, 0.4, 0.6, 0.8]);
});

test('turns: slow cases get two rounds, networks are never repeated', async (t) => {
  const log: string[] = [];
  const [one] = await takeTurns([contestant('a', log, 1)], { ...turns, seconds: 0, repeated: false });
  t.ok('samples' in one!.outcome && one.outcome.samples.length === 2 && one.outcome.repeats === 1);
});

test('turns: what is wrong, or breaks, is out and says why', async (t) => {
  const log: string[] = [];
  const all = [
    contestant('right', log, 30),
    contestant('wrong', log, 30, { variant: 'v', prepare: async () => ({ first: 1, check: [1, 2.01] }) }),
    contestant('broken', log, 30, {
      prepare: async () => {
        throw new Error('no such operation');
      },
    }),
    contestant('late', log, 30, {
      run: async () => {
        throw new Error('gone');
      },
    }),
  ];
  const outcomes = (await takeTurns(all, turns)).map(({ engine, variant, outcome }) => [
    engine,
    variant,
    'failed' in outcome ? outcome.failed : outcome.samples.length,
  ]);
  t.deepEqual(outcomes, [
    ['right', undefined, 5],
    ['wrong', 'v', 'its result is wrong: off by 5.0e-3 of the largest value'],
    ['broken', undefined, 'no such operation'],
    ['late', undefined, 'gone'],
  ]);
  t.notOk(
    log.some((line) => line.startsWith('wrong')),
    'what is wrong is not timed',
  );
  const expected = new Map([['made up', [1, 2.001]]]);
  const [held] = await takeTurns([contestant('a', log, 30)], { ...turns, expected });
  t.ok('failed' in held!.outcome, 'a known answer is held to more closely than another engine');
});
