// Which part of a data set this process measures: what the command line says, else what a scheduler's variables say.

import { ResultsError, type Shard } from './record.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * - Slurm's job arrays: task `SLURM_ARRAY_TASK_ID` of those from `SLURM_ARRAY_TASK_MIN` in steps, `SLURM_ARRAY_TASK_COUNT`
 *   in all;
 * - Kubernetes' Indexed Jobs: `JOB_COMPLETION_INDEX` from 0; how many there are Kubernetes does not say, so that the job
 *   sets `JOB_COMPLETIONS` to its `completions`.
 *
 * @throws ResultsError where the variables are incomplete or contradict each other.
 */
export function shardOf(environment: Environment): { shard: Shard; from?: string } {
  const number = (name: string): number | undefined => {
    const value = environment[name];
    if (value === undefined) return undefined;
    if (/^\d{1,9}$/.test(value)) return Number(value);
    throw new ResultsError(`${name} is "${value}", no whole number; --shard 1/1 takes the whole data set`);
  };
  const task = number('SLURM_ARRAY_TASK_ID');
  if (task !== undefined) {
    const count = number('SLURM_ARRAY_TASK_COUNT');
    const least = number('SLURM_ARRAY_TASK_MIN') ?? 0;
    const step = number('SLURM_ARRAY_TASK_STEP') || 1;
    const shard = checked({ index: (task - least) / step + 1, count: count ?? 0 }, 'SLURM_ARRAY_TASK_ID');
    return { shard, from: 'SLURM_ARRAY_TASK_ID' };
  }
  const completion = number('JOB_COMPLETION_INDEX');
  if (completion !== undefined) {
    const count = number('JOB_COMPLETIONS');
    if (count === undefined) {
      throw new ResultsError(
        "JOB_COMPLETION_INDEX is set and JOB_COMPLETIONS is not: set it to the job's completions, or give --shard",
      );
    }
    return {
      shard: checked({ index: completion + 1, count }, 'JOB_COMPLETION_INDEX'),
      from: 'JOB_COMPLETION_INDEX',
    };
  }
  return { shard: { index: 1, count: 1 } };
}

/** @throws ResultsError where there is no such part. */
export function checked(shard: Shard, where: string): Shard {
  const { index, count } = shard;
  if (Number.isSafeInteger(index) && Number.isSafeInteger(count) && index >= 1 && index <= count)
    return shard;
  throw new ResultsError(`${where}: there is no part ${index} of ${count}; parts are counted from 1`);
}

/** Every `count`-th item from the `index`-th on. */
export const partOf = <T>(items: readonly T[], { index, count }: Shard): T[] =>
  items.filter((_, i) => i % count === index - 1);
