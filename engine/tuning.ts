// What `tune` found out about an adapter, as it is kept: a small JSON for each adapter, good for the kernels it was
// measured with. `openDevice` reads it.

import { keepText, keptText } from '#platform';
import {
  type DeviceClass,
  deviceClasses,
  type FigureName,
  type Figures,
  figures,
} from '../kernels/profile.ts';

/** Which class of kernels is best on an adapter, and in place of which figures of that class others are. */
export interface Tuning {
  readonly class: DeviceClass;
  readonly figures: Partial<Figures>;
}

/** What a tuning is good for: an adapter, by the name of its device, and the text of all kernels. */
interface TunedFor {
  readonly adapter: string;
  readonly kernels: ReadonlyMap<string, string>;
}

const fileOf = ({ adapter }: TunedFor): string =>
  `tuning-${adapter.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.json`;

/** A short name of the kernels and of what there is to be tuned (FNV-1a): where either changes, it does. */
function versionOf({ kernels }: TunedFor): string {
  let hash = 0x811c9dc5;
  for (const text of [...kernels.values(), JSON.stringify(figures)]) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** Keeps a tuning, and says where. Throws `CacheError` where it cannot. */
export function keepTuning(tuned: TunedFor, tuning: Tuning): Promise<string> {
  const about = { adapter: tuned.adapter, kernels: versionOf(tuned) };
  return keepText(fileOf(tuned), `${JSON.stringify({ ...about, ...tuning }, undefined, 2)}\n`);
}

/** The tuning that is kept, or, where there is one that is of no use, why. */
export async function keptTuning(tuned: TunedFor): Promise<Tuning | string | undefined> {
  const text = await keptText(fileOf(tuned));
  if (text === undefined) return undefined;
  const lack = (what: string) => `${fileOf(tuned)} ignored: ${what}; tune again`;
  let found: Partial<Tuning & { adapter: string; kernels: string }>;
  try {
    found = Object(JSON.parse(text));
  } catch {
    return lack('it is no JSON');
  }
  if (found.adapter !== tuned.adapter) return lack('it is of another adapter');
  if (found.kernels !== versionOf(tuned)) return lack('the kernels have changed since');
  if (!deviceClasses.some((of) => of === found.class)) return lack('it names no class of devices');
  const wrong = Object.entries(Object(found.figures)).find(([name, value]) => !isRight(name, value));
  if (wrong) return lack(`${wrong[0]} is no figure that may be ${JSON.stringify(wrong[1])}`);
  return { class: found.class!, figures: Object(found.figures) };
}

/** Whether a figure has a value that it may have: kernels are right with these, and were tested with no others. */
const isRight = (name: string, value: unknown): boolean =>
  Object.hasOwn(figures, name) && figures[name as FigureName].values.some((right) => right === value);
