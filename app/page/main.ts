// The page: a picture, a network, methods, classes and a layer are chosen; the explanations follow.

import { type Method, methodOf } from '../../cam/index.ts';
import { messageOf } from '../../engine/platform/errors.ts';
import { presets } from '../../models/index.ts';
import { showActivity } from './activity.ts';
import { ask, CancelledError, dropWaiting, listeners, NoDevice, start, TaskError } from './ask.ts';
import { listenToCamera } from './camera.ts';
import { showClaims } from './claims.ts';
import { listen, showChoices, showDifferences, showOutputs, showPrediction } from './controls.ts';
import { element, make } from './dom.ts';
import { exampleFile, examples } from './examples.ts';
import { showExport } from './export.ts';
import { listenToHub, offer, publishedChoice } from './hub/hub.ts';
import { answerFigure, difference, emptyFigure, figure, pictureFigure } from './maps.ts';
import { keepOffline } from './offline.ts';
import { type Choices, type Choose, defaults, fetchable, readAddress, writeAddress } from './state.ts';
import { type Truth, truthOf } from './truth.ts';
import type { NetworkChoice, PictureFile, Subject } from './work/subject.ts';
import type { Answer, Asked, Predicted } from './work/tasks.ts';

/** With the typesetting of formulas: loaded while the first explanation is at work. */
const terms = import('./terms/section.ts');

let choices: Choices = readAddress(location.search);
/** The visitor's files, while `choices` has "" for them. */
let visitorPicture: PictureFile | undefined;
let visitorNetwork: NetworkChoice | undefined;
let newest = 0;

/** What was computed, by what was asked; forgotten with the picture or the network. */
const remembered = new Map<string, Promise<unknown>>();
let rememberedOf = '';

function remember<T>(key: unknown, compute: () => Promise<T>): Promise<T> {
  const name = JSON.stringify(key);
  const found = remembered.get(name) ?? compute();
  remembered.set(name, found);
  found.catch(() => remembered.get(name) === found && remembered.delete(name));
  return found as Promise<T>;
}

/** Takes a choice and shows what follows from it. Of several choices made while the device works, the last counts. */
export function choose(change: Partial<Choices>, files: Parameters<Choose>[1] = {}): Promise<void> {
  choices = { ...choices, ...change };
  visitorPicture = files.picture ?? visitorPicture;
  visitorNetwork = files.network ?? visitorNetwork;
  if (files.classNames && visitorNetwork) visitorNetwork = { ...visitorNetwork, classes: files.classNames };
  history.replaceState(null, '', `${location.pathname}${writeAddress(choices)}${location.hash}`);
  return show();
}

async function subjectOf({ picture, network, preset, text, output }: Choices): Promise<Subject> {
  const example = examples.get(picture);
  const shown = example ? await remember(['file', picture], () => exampleFile(picture)) : undefined;
  return {
    picture: shown ? { id: picture, name: example!.title, file: shown } : visitorPicture!,
    network:
      network === ''
        ? { ...visitorNetwork!, ...(preset && { preprocessing: presets[preset] }), ...(output && { output }) }
        : { ...((await publishedChoice(network)) ?? { id: network }), ...(text && { text }) },
  };
}

async function show(): Promise<void> {
  const mine = ++newest;
  const isNewest = () => mine === newest;
  dropWaiting();
  element('result').ariaBusy = 'true';
  try {
    await showNewest(choices, isNewest);
  } catch (error) {
    if (!isNewest() || (error instanceof CancelledError && mine !== newest)) return;
    if (error instanceof NoDevice) return showFailure(error.message);
    element('maps').replaceChildren();
    if (error instanceof TaskError && error.outputs.length > 0)
      showOutputs(error.outputs, choices.output, true);
    say(messageOf(error), !(error instanceof CancelledError));
  }
  if (isNewest()) element('result').ariaBusy = 'false';
}

async function showNewest(chosen: Choices, isNewest: () => boolean): Promise<void> {
  const subject = await subjectOf(chosen);
  if (!isNewest()) return;
  const of = JSON.stringify([subject.picture.id, subject.network.id]);
  if (of !== rememberedOf)
    for (const key of remembered.keys()) if (!key.startsWith('["file"')) remembered.delete(key);
  rememberedOf = of;
  showChoices(chosen, subject);
  say(`Running ${subject.network.id} …`);
  const predicted = await remember(['predict', subject.network], () =>
    ask('predict', { subject }, `Running ${subject.network.id}`),
  );
  if (!isNewest()) return;
  const named = chosen.layers.filter((layer) =>
    predicted.nodes.some(({ name, explained }) => explained && name === layer),
  );
  const layers = chosen.fuse ? named : named.slice(0, 1);
  const inRange = chosen.classes.filter((index) => index < predicted.classes.length);
  const classes = inRange.length > 0 ? inRange : [predicted.classes[0]!.index];
  const shown = layers.length > 0 ? layers : [predicted.targetLayer];
  if (chosen.network === '')
    showOutputs(predicted.outputs, chosen.output, chosen.output !== '' || predicted.outputs.length > 1);
  showPrediction(predicted, shown, classes, (layer) => {
    const others = shown.filter((one) => one !== layer);
    choose({ layers: chosen.fuse ? (others.length < shown.length ? others : [...shown, layer]) : [layer] });
  });
  const fuse = layers.length > 1 ? chosen.fuse : '';
  const rows = classes.map((classIndex) =>
    chosen.methods.map((method): Asked => ({ subject, method, classIndex, layers, fuse, of: chosen.of })),
  );
  const cells = rows.flat().map((asked) => {
    const method = methodOf(asked.method);
    const className = predicted.classes.find(({ index }) => index === asked.classIndex)!.name;
    return {
      asked,
      method,
      className,
      name: `${method.name} ${asked.classIndex}`,
      title: `${method.title} ${className}`,
      answer: remember(['explain', { ...asked, subject: asked.subject.network }], () =>
        ask('explain', asked, method.title),
      ).catch((error: unknown) => messageOf(error)),
    };
  });
  showDifferences(cells, chosen.difference);
  const truth = remember(['truth', subject.network], () => truthOf(subject, predicted)).catch(
    () => undefined,
  );
  say(`${cells.map(({ method }) => method.title).join(', ')}: at work …`);
  element('maps').style.setProperty('--columns', String(1 + chosen.methods.length));
  const found: (Answer | string)[] = [];
  for (const { answer } of cells) {
    found.push(await answer);
    if (!isNewest()) return;
    if (found.length < cells.length) showMaps(chosen, predicted, cells, found, undefined);
  }
  showMaps(chosen, predicted, cells, found, await truth);
  if (!isNewest()) return;
  const answers = found.filter((one) => typeof one !== 'string');
  showExport(subject, predicted, answers, chosen);
  showClaims({ subject, layer: shown[0]!, classIndex: classes[0]! }, predicted.name);
  const explained = cells.flatMap(({ asked }, i) => {
    const one = found[i];
    return typeof one === 'object' ? [[asked, one] as const] : [];
  });
  // Of several layers there is no one formula.
  const hasTerms = explained.length > 0 && fuse === '';
  element('terms').hidden = !hasTerms;
  if (hasTerms) {
    const { showTerms } = await terms;
    if (!isNewest()) return;
    void showTerms(explained, chosen, choose);
  }
  const said = found.map((one, i) => (typeof one === 'string' ? one : sentence(cells[i]!.method, one)));
  say([`${predicted.name} at ${shown.join(' + ')}.`, ...said].join('\n'), answers.length === 0);
}

/** Shows what the address asks for, but for a network that has to be fetched: that needs the visitor's word. */
async function begin(): Promise<void> {
  if (fetchable.includes(choices.network) && !(await publishedChoice(choices.network))) {
    offer(choices);
    choices = { ...choices, network: defaults.network };
  }
  return show();
}

interface Cell {
  readonly method: Method;
  readonly className: string;
  /** By which the address knows it, and people. */
  readonly name: string;
  readonly title: string;
}

const sentence = ({ title }: Method, { className, milliseconds }: Answer): string =>
  `${title} of class ${className} took ${milliseconds.toFixed(0)} ms.`;

/** What is there already, each class a row; the others have a place. */
function showMaps(
  chosen: Choices,
  predicted: Predicted,
  cells: readonly Cell[],
  found: readonly (Answer | string)[],
  truth: Truth | undefined,
): void {
  const { seen, name } = predicted;
  const figures = cells.map(({ method, className }, i) => {
    const answer = found[i];
    if (typeof answer === 'object') return answerFigure(seen, answer, chosen, truth);
    return emptyFigure(method.title, `class ${className}`, answer ?? 'at work …', answer !== undefined);
  });
  const pair = chosen.difference.split(',').map((one) => cells.findIndex(({ name }) => name === one));
  const [a, b] = pair.map((i) => found[i]);
  const minus: HTMLElement[] = [];
  if (typeof a === 'object' && typeof b === 'object') {
    const [title, what] = ['Difference', pair.map((i) => cells[i]!.title).join(' − ')];
    const both = difference(a, b, chosen.signed);
    minus.push(
      both
        ? figure(seen, both, chosen, { title, what, lines: ['each map divided by its maximum first'] })
        : emptyFigure(title, what, 'their maps are of different sizes', true),
    );
  }
  element('maps').replaceChildren(pictureFigure(seen, name), ...figures, ...minus);
}

/** One or several lines on what goes on. */
function say(text: string, problem = false): void {
  element('status').textContent = text;
  element('status').classList.toggle('problem', problem);
}

function showFailure(message: string): void {
  document.querySelector('main')!.hidden = true;
  element('failure').hidden = false;
  element('failure-why').textContent = message;
}

listeners.device = (name) => {
  element('adapter').textContent = `Device: ${name}`;
};
listeners.lost = (message) => {
  element('lost').hidden = false;
  element('lost').replaceChildren(
    make('strong', {}, 'The device was lost and has been opened again.'),
    ` ${message}. What you chose is still there.`,
  );
};
showActivity();
keepOffline();
listen(() => choices, choose);
listenToCamera((picture) => choose({ picture: '' }, { picture }));
start();
listenToHub(choose);
void begin();
void import('./lessons/index.ts').then(({ showLessons }) => showLessons());
