// The editor: a kernel of a variant, or one that stands alone, is written, compiled, held to float64 and measured.

import { syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, linter, lintGutter } from '@codemirror/lint';
import type { Text } from '@codemirror/state';
import { classHighlighter } from '@lezer/highlight';
import { basicSetup, EditorView } from 'codemirror';
import { kernelCases, layerCases } from '../../../bench/cases.ts';
import type { WrittenKernel } from '../../../bench/written.ts';
import { ask } from '../ask.ts';
import { button, make, showOptions } from '../dom.ts';
import type { Message, Source, Trial } from '../work/bench.ts';
import { tableOf } from './results.ts';
import { wgsl } from './wgsl.ts';

/** What the page does for the editor. */
export interface Bench {
  readonly measure: (name: string, written: readonly WrittenKernel[]) => Promise<void>;
  /** Runs what takes a while, and says what comes of it. */
  readonly busily: (body: () => Promise<string>) => Promise<void>;
}

/** Cases whose kernels are plans. */
const cases = [...kernelCases, ...layerCases].filter(
  ({ problem: { op } }) => op === 'matmul' || op === 'conv2d',
);

/** What is edited: the text it began with, and where it goes. */
interface Start extends Omit<Source, 'kernel'> {
  readonly title: string;
  readonly instead?: WrittenKernel['instead'];
}

/** Versions of written kernels that are measured side by side. */
const MOST_VERSIONS = 4;

/** Puts the editor in place of what is in `root`. */
export async function showEditor(root: HTMLElement, bench: Bench): Promise<void> {
  const caseSelect = make('select', { id: 'editor-case' });
  const kernelSelect = make('select', { id: 'editor-kernel' });
  const constants = make('p', { id: 'constants', class: 'lead' });
  const outcome = make('div', { id: 'trials' });
  const code = make('div', { id: 'code' });
  showOptions(
    caseSelect,
    cases.map(({ name }) => [name, name]),
    cases[0]!.name,
  );
  let starts: readonly Start[] = [];
  let start: Start | undefined;
  /** What was measured of each case, the newest last. */
  const versions = new Map<string, readonly WrittenKernel[]>();

  const view = new EditorView({
    parent: code,
    extensions: [
      basicSetup,
      wgsl,
      syntaxHighlighting(classHighlighter),
      lintGutter(),
      linter(async ({ state: { doc } }) => {
        if (start === undefined) return [];
        const asked = { wgsl: doc.toString(), constants: start.constants };
        const messages = await ask('compile', asked, 'Compiling').catch(() => []);
        return messages.map((message) => diagnosticOf(doc, message));
      }),
      // CodeMirror's colours of the dark, but for what is the page's.
      EditorView.theme(
        {
          '.cm-gutters': { background: 'var(--raised)', color: 'var(--faint)', border: 'none' },
          '.cm-activeLine': { background: 'color-mix(in srgb, var(--ink) 5%, transparent)' },
        },
        { dark: matchMedia('(prefers-color-scheme: dark)').matches },
      ),
      EditorView.contentAttributes.of({ 'aria-label': 'WGSL of the kernel', tabindex: '0' }),
    ],
  });

  const written = (): WrittenKernel => {
    const text = view.state.doc.toString();
    const before = versions.get(caseSelect.value) ?? [];
    const same = before.find((one) => one.wgsl === text);
    const number = before.length === 0 ? 1 : Number(/\d+$/.exec(before.at(-1)!.name)) + 1;
    return (
      same ?? { name: `written ${number}`, wgsl: text, ...(start?.instead && { instead: start.instead }) }
    );
  };

  const showKernel = () => {
    start = starts[Number(kernelSelect.value)]!;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: start.wgsl } });
    const values = Object.entries(start.constants).map(([name, value]) => `${name} = ${value}`);
    constants.textContent = start.instead
      ? `Stands in the variant instead of its kernel, with the same buffers and threads. On this case its const lines have the values ${
          values.join(', ') || 'in the text'
        }; the variant chooses them for each size.`
      : 'Computes the whole by itself, in a workgroup for each tile of ROWS x COLUMNS.';
    outcome.replaceChildren();
  };
  const showCase = async () => {
    const { variants, template } = await ask('sources', { name: caseSelect.value }, 'Reading the kernels');
    starts = [
      ...Object.entries(variants).flatMap(([variant, kernels]) =>
        kernels.map(
          ({ kernel, ...source }): Start => ({
            ...source,
            title: `${variant}: ${kernel}`,
            instead: { variant, kernel },
          }),
        ),
      ),
      ...(template ? [{ title: 'one of my own', wgsl: template, constants: {} }] : []),
    ];
    showOptions(
      kernelSelect,
      starts.map(({ title }, i) => [String(i), title]),
      String(starts.length - 1),
    );
    showKernel();
    return '';
  };

  const tryOut = async () => {
    const trials = await ask(
      'tryOut',
      { name: caseSelect.value, written: written() },
      'Comparing with float64',
    );
    outcome.replaceChildren(trialTable(trials));
    const wrong = trials.filter((one) => !isRight(one)).length;
    return wrong === 0
      ? `Right on all ${trials.length} sizes.`
      : `Wrong on ${wrong} of ${trials.length} sizes.`;
  };
  const measure = async () => {
    const name = caseSelect.value;
    const one = written();
    const others = (versions.get(name) ?? []).filter(({ wgsl }) => wgsl !== one.wgsl);
    const all = [...others, one].slice(-MOST_VERSIONS);
    versions.set(name, all);
    await bench.measure(name, all);
  };

  caseSelect.addEventListener('change', () => void bench.busily(showCase));
  kernelSelect.addEventListener('change', showKernel);
  root.replaceChildren(
    make(
      'div',
      { class: 'row' },
      make('label', {}, 'Case ', caseSelect),
      make('label', {}, 'Kernel ', kernelSelect),
    ),
    constants,
    code,
    make(
      'div',
      { class: 'row' },
      button({ id: 'try' }, () => void bench.busily(tryOut), 'Compare with float64'),
      button({ id: 'measure-own' }, () => void measure(), 'Measure beside the others'),
    ),
    outcome,
  );
  view.requestMeasure(); // it was made outside of the page, where lines have no height
  await bench.busily(showCase);
}

/** A compiler's message at its place in the text. */
function diagnosticOf(doc: Text, { kind, line, column, length, text }: Message): Diagnostic {
  const { from, to } = doc.line(Math.min(Math.max(line, 1), doc.lines));
  const start = Math.min(from + Math.max(column - 1, 0), to);
  const severity = kind === 'error' || kind === 'warning' ? kind : 'info';
  return { from: start, to: Math.min(start + length, doc.length), severity, message: text };
}

const isRight = ({ outcome }: Trial) => 'right' in outcome && outcome.right;

function trialTable(trials: readonly Trial[]): HTMLElement {
  const said = ({ outcome }: Trial) =>
    'failed' in outcome
      ? outcome.failed
      : `${outcome.right ? 'right' : 'wrong'}, off by ${outcome.difference.toExponential(1)} of the largest value`;
  const failed = new Set(trials.filter((one) => !isRight(one)).map(said));
  const rows = trials.map((one) => [one.shape, said(one)]);
  return tableOf({ title: 'Compared with float64', head: ['size', 'result'], rows }, failed);
}
