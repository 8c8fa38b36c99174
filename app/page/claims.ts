// What must hold on the network, checked when asked: each claim with what was found and what rounding allows.

import type { Verdict } from '../../cam/index.ts';
import { messageOf } from '../../engine/platform/errors.ts';
import { ask } from './ask.ts';
import { button, element, make } from './dom.ts';
import type { Subject } from './work/subject.ts';

/** What claims are checked on. */
interface Checked {
  readonly subject: Subject;
  readonly layer: string;
  readonly classIndex: number;
}

/** Puts a button where claims are shown; those of an earlier choice go. */
export function showClaims(checked: Checked, name: string): void {
  const place = element('claims-body');
  const start = button(
    {},
    async () => {
      start.disabled = true;
      const said = await ask('verify', checked, `Verifying ${name}`).then(
        (verdicts) => tableOf(verdicts, `${name} at ${checked.layer}`),
        (error: unknown) => make('p', { class: 'problem' }, messageOf(error)),
      );
      start.disabled = false;
      // Unless another choice has taken its place.
      if (start.isConnected) place.replaceChildren(start, said);
    },
    'Verify',
  );
  place.replaceChildren(start);
}

const shownNumber = (value: number): string => (value === 0 ? '0' : value.toExponential(1));

const resultOf = ({ exempt, holds }: Verdict): string =>
  exempt === null ? (holds ? 'holds' : 'FAILS') : `does not apply: ${exempt}`;

function tableOf(verdicts: readonly Verdict[], about: string): HTMLElement {
  const failing = verdicts.filter(({ holds }) => holds === false).length;
  const held = verdicts.filter(({ holds }) => holds).length;
  const caption = `${about}: ${held} hold, ${failing} fail, ${verdicts.length - held - failing} do not apply`;
  const head = ['Claim', 'Off by', 'Bound', 'Result'].map((title) => make('th', { scope: 'col' }, title));
  const rows = verdicts.map((verdict) =>
    make(
      'tr',
      {},
      make('th', { scope: 'row', title: verdict.claim }, verdict.sentence),
      make('td', {}, shownNumber(verdict.residual)),
      make('td', { title: verdict.because }, shownNumber(verdict.bound)),
      make('td', { class: verdict.holds === false ? 'problem' : undefined }, resultOf(verdict)),
    ),
  );
  return make(
    'table',
    {},
    make('caption', {}, caption),
    make('thead', {}, make('tr', {}, ...head)),
    make('tbody', {}, ...rows),
  );
}
