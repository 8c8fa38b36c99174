// The bench: cases are chosen and measured one after the other; tables and plots follow.

import { kernelCases, layerCases } from '../../../bench/cases.ts';
import type { Results } from '../../../bench/results.ts';
import type { WrittenKernel } from '../../../bench/written.ts';
import { messageOf } from '../../../engine/platform/errors.ts';
import project from '../../../package.json' with { type: 'json' };
import { showActivity } from '../activity.ts';
import { ask, CancelledError, listeners, NoDevice, start, TaskError } from '../ask.ts';
import { choice, element, make, showOptions } from '../dom.ts';
import type { Adapter } from '../work/bench.ts';
import { fastestOf, showTables, showWhole, withCase } from './results.ts';
import { resultsIn, resultsOf } from './share.ts';

/** Seconds that the rounds of one case may take. */
const SECONDS = 8;
const ROUNDS = ['2', '5', '15', '30'];
const cases = { kernels: kernelCases, layers: layerCases };

let adapter: Adapter | undefined;
/** What this page measured, or what was opened. */
let results: Results | undefined;
/** Those that the plots show. */
let drawn: Results | undefined;
/** Whether they are of this device and may be added to. */
let mine = false;

function say(text: string, problem = false): void {
  element('status').textContent = text;
  element('status').classList.toggle('problem', problem);
}

/** Does something that takes a while and may fail; nothing else can be started meanwhile. */
async function busily(body: () => Promise<string>): Promise<void> {
  const buttons = () => document.querySelectorAll<HTMLButtonElement>('#go, #measure-own, #try');
  const enable = (enabled: boolean) => {
    for (const one of buttons()) one.disabled = !enabled;
    element('measure').ariaBusy = String(!enabled);
  };
  enable(false);
  try {
    say(await body());
  } catch (error) {
    if (error instanceof NoDevice) showFailure(error.message);
    else say(messageOf(error), !(error instanceof CancelledError));
  }
  if (results && results !== drawn) await showWhole(results);
  drawn = results;
  enable(true);
}

/** What is measured on this device so far: nothing but its peaks, at first. */
async function ownResults(rounds: number): Promise<Results> {
  if (results && mine) return results;
  say('Measuring what the device can do at best …');
  const peaks = await ask('peaks', {}, 'Peaks');
  adapter ??= await ask('adapter', {}, 'Adapter');
  return {
    suite: 'kernels',
    environment: {
      date: new Date().toISOString().slice(0, 16).replace('T', ' '),
      adapter: `${adapter.name} (browser)`,
      cores: navigator.hardwareConcurrency,
      platform: navigator.userAgent,
      features: adapter.features,
      limits: adapter.limits,
      engines: { limelight: { version: project.version, adapter: `${adapter.name} (browser)` } },
      rounds,
      seconds: SECONDS,
    },
    peaks,
    work: {},
    measurements: [],
  };
}

/** Measures cases, `written` kernels among the variants, and shows each when it is done. */
async function measure(names: readonly string[], written: readonly WrittenKernel[] = []): Promise<void> {
  const rounds = Number(element<HTMLSelectElement>('rounds').value);
  results = await ownResults(rounds);
  mine = true;
  for (const [i, name] of names.entries()) {
    say(`Measuring ${name}, ${i + 1} of ${names.length} …`);
    const found = await ask(
      'measure',
      { name, rounds, seconds: SECONDS, written, peers: chosenPeers() },
      name,
    ).catch((error: unknown) => {
      if (!(error instanceof TaskError)) throw error;
      return { measurements: [{ case: name, engine: 'limelight', outcome: { failed: error.message } }] };
    });
    results = withCase(results, name, found);
    showTables(results);
  }
}

const checked = (name: string) =>
  [...document.querySelectorAll<HTMLInputElement>(`#choose input[name=${name}]:checked`)].map(
    ({ value }) => value,
  );

/** Where the modules of peers lie, if they do: beside the page. */
const peersAt = new URL('../peers/', location.href);

/** The chosen peers' modules, by their names. */
const chosenPeers = () =>
  Object.fromEntries(checked('peer').map((name) => [name, new URL(`${name}.js`, peersAt).href]));

/** Peers that lie beside the page are looked for when its address asks for them, as most pages have none. */
async function showPeers(): Promise<void> {
  if (!new URLSearchParams(location.search).has('peers')) return;
  const found = await fetch(new URL('peers.json', peersAt))
    .then((answer) => answer.json())
    .catch(() => []);
  const names: readonly string[] = Array.isArray(found) ? found : [];
  element('peers').append(
    ...(names.length > 0
      ? names.map((name) => choice('checkbox', 'peer', name, true, name))
      : [
          make(
            'p',
            {},
            `There are none: ${peersAt.pathname}peers.json names none. npm run page:peers makes them.`,
          ),
        ]),
  );
  element('peers').hidden = false;
}

function showChoices(): void {
  const said = new URLSearchParams(location.search);
  const wanted = said.getAll('case');
  for (const [id, all] of Object.entries(cases)) {
    element(id).append(
      ...all.map(({ name }) =>
        choice('checkbox', 'case', name, wanted.length === 0 || wanted.includes(name), name),
      ),
    );
  }
  const rounds = said.get('rounds') ?? '';
  showOptions(
    element<HTMLSelectElement>('rounds'),
    ROUNDS.map((n) => [n, n]),
    ROUNDS.includes(rounds) ? rounds : '15',
  );
}

function showAdapter({ name, class: of, features, limits }: Adapter): void {
  element('adapter').textContent = `${name}. Kernels are chosen as for ${
    of === 'gpu' ? 'a GPU' : 'a driver that computes on the processor'
  }.`;
  element('features').replaceChildren(...features.map((feature) => make('li', {}, feature)));
  element('limits').replaceChildren(
    ...Object.entries(limits).map(([limit, value]) =>
      make('div', {}, make('dt', {}, limit), make('dd', {}, value.toLocaleString('en'))),
    ),
  );
}

function showFailure(message: string): void {
  element('failure').hidden = false;
  element('failure-why').textContent = message;
  element('adapter').textContent = 'There is none that this browser lets be used.';
  element('go').hidden = true;
  element('write').hidden = true;
  say(results ? othersSaid(results) : '');
}

function showOthers(others: Results): string {
  [results, mine] = [others, false];
  return othersSaid(others);
}

const othersSaid = ({ environment: { adapter, date } }: Results): string =>
  `These results are of ${adapter}, measured ${date} UTC.`;

listeners.lost = (message) => {
  element('lost').hidden = false;
  element('lost').textContent = `The device was lost and has been opened again. ${message}`;
};
showActivity();
showChoices();
start();
element('choose').addEventListener('submit', (event) => {
  event.preventDefault();
  const names = checked('case');
  if (names.length === 0) return say('Choose a case to measure.', true);
  void busily(async () => {
    await measure(names);
    return `Measured ${names.length} of ${kernelCases.length + layerCases.length} cases.`;
  });
});
element('open').addEventListener('change', ({ target }) => {
  const [file] = (target as HTMLInputElement).files!;
  if (file) void busily(async () => showOthers(await resultsOf(file)));
});
element('open-editor').addEventListener('click', () => {
  void import('./editor.ts').then(({ showEditor }) =>
    showEditor(element('editor'), {
      measure: (name, written) =>
        busily(async () => {
          await measure([name], written);
          return fastestOf(results!, name);
        }),
      busily,
    }),
  );
});
void busily(async () => {
  const opened = resultsIn(location.hash);
  const said = opened ? showOthers(opened) : 'Ready.';
  await showPeers();
  adapter = await ask('adapter', {}, 'Adapter');
  showAdapter(adapter);
  return said;
});
