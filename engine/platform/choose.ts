// Chooses the first adapter of a table that opens, and says why, or why none does.

import { adapterName } from '../adapter-names.ts';
import { NoDeviceError, UnknownAdapterError } from '../errors.ts';
import { messageOf } from './errors.ts';
import type { AdapterKind, OpenAdapter } from './interface.ts';

/** What the user asked for: `native`, or `native:GeForce` with the part after the colon as `which`. */
export interface Asked {
  kind: AdapterKind;
  which?: string;
}

/** One way to an adapter. */
export interface Candidate {
  kind: AdapterKind;
  /** True where `kind:part of a name` may single out one of several adapters. */
  selects?: boolean;
  /** One phrase for when it is not there, e.g. "no GPU driver that Dawn accepts". */
  absent: string;
  /** One phrase for the adapter that it opened, whose name is given. */
  describe(name: string): string;
  /** Opens an adapter. Rejects with the reason why it cannot; null when the driver merely offers none. */
  open(asked?: Asked): Promise<{ gpu: GPU; adapter: GPUAdapter } | null>;
}

/**
 * Opens the first candidate that works, or the one named by `choice` (`kind` or `kind:part of a name`).
 * `remedy` gives the one thing to do about it when none opens.
 */
export async function chooseAdapter(
  candidates: readonly Candidate[],
  choice: string | undefined,
  remedy: (asked?: Asked) => string,
): Promise<OpenAdapter> {
  const asked = choice ? parseChoice(candidates, choice) : undefined;
  const reasons: string[] = [];
  const causes: unknown[] = [];
  const absent: string[] = [];
  for (const candidate of candidates) {
    const { kind } = candidate;
    if (asked && asked.kind !== kind) continue;
    try {
      const opened = await candidate.open(asked);
      if (opened) {
        const name = adapterName(opened.adapter.info);
        const grounds = asked ? [`asked for as "${choice}"`] : absent;
        return { ...opened, kind, name, why: [...grounds, candidate.describe(name)].join('; ') };
      }
      reasons.push(`${kind}: the driver offers no adapter that WebGPU can use`);
    } catch (error) {
      reasons.push(`${kind}: ${messageOf(error)}`);
      causes.push(error);
    }
    absent.push(candidate.absent);
  }
  throw new NoDeviceError(
    `no WebGPU adapter could be opened. Tried:\n${reasons.map((reason) => `  ${reason.replaceAll('\n', '\n    ')}\n`).join('')}` +
      `To mend it: ${remedy(asked)}`,
    { cause: causes },
  );
}

function parseChoice(candidates: readonly Candidate[], choice: string): Asked {
  const colon = choice.indexOf(':');
  const name = colon < 0 ? choice : choice.slice(0, colon);
  const which = colon < 0 ? undefined : choice.slice(colon + 1);
  const found = candidates.find(({ kind }) => kind === name);
  if (!found || which === '' || (which !== undefined && !found.selects)) {
    const names = candidates.map(({ kind, selects }) =>
      selects ? `${kind}, ${kind}:<part of its name>` : kind,
    );
    throw new UnknownAdapterError(
      `there is no adapter called "${choice}"; the names are ${names.join(', ')}`,
    );
  }
  return { kind: found.kind, which };
}
