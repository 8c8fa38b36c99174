// The page: a picture, a shipped network, a method, a class and a layer are chosen; the explanation follows.

import { methodOf } from '../../cam/index.ts';
import { type Device, openDevice } from '../../engine/index.ts';
import { messageOf } from '../../engine/platform/errors.ts';
import { catalogEntry, type Pixels } from '../../models/index.ts';
import { answer, type Prediction, predict, shipped } from './explainer.ts';
import { decodePicture } from './picture.ts';
import { element, say, showAnswer, showMethods, showOptions, showPrediction } from './view.ts';

/** Pictures to begin with. */
const examples: Readonly<Record<string, URL>> = {
  'digits 2 and 5': new URL('../../models/images/scene-1.png', import.meta.url),
  'digits 3, 0 and 7': new URL('../../models/images/scene-2.png', import.meta.url),
  'digits 6, 9 and 3': new URL('../../models/images/scene-3.png', import.meta.url),
  'four CIFAR pictures': new URL('../../models/images/mosaic-2x2.png', import.meta.url),
};

/** What is chosen; `layer` and `classIndex` follow the network and the picture until they are chosen too. */
interface Chosen {
  readonly pixels?: Pixels;
  readonly network: string;
  readonly method: string;
  readonly layer?: string | undefined;
  readonly classIndex?: number | undefined;
}

let chosen: Chosen = { network: shipped[0]!.name, method: 'grad-cam' };
let prediction: Prediction | undefined;
let turn = Promise.resolve();
let newest = 0;

/** Takes a choice and shows what follows from it. Of several choices made while the device works, the last counts. */
function choose(device: Device, change: Partial<Chosen>): void {
  chosen = { ...chosen, ...change };
  const mine = ++newest;
  turn = turn.then(async () => {
    if (mine !== newest) return;
    element('result').ariaBusy = 'true';
    try {
      await show(device, chosen);
    } catch (error) {
      element('explanation').hidden = true;
      say(messageOf(error), true);
    }
    element('result').ariaBusy = 'false';
  });
}

async function show(device: Device, { pixels, network, method, layer, classIndex }: Chosen): Promise<void> {
  if (!pixels) return;
  const entry = catalogEntry(network);
  const known = prediction?.network.name === network && prediction.pixels === pixels ? prediction : undefined;
  if (!known) say(`Running ${network} …`);
  const current = known ?? (await predict(device, entry, pixels));
  const asked = {
    method,
    title: methodOf(method).title,
    layer: layer ?? entry.targetLayer,
    classIndex: classIndex ?? current.classes[0]!.index,
  };
  // Only where it is new, since what is replaced loses the keyboard's focus.
  if (!known) showPrediction(current, asked.layer, asked.classIndex);
  if (!known) prediction?.dispose();
  prediction = current;
  say(`${asked.title} is at work …`);
  const found = await answer(current, asked);
  showAnswer(current, found, asked.layer, entry.classes[asked.classIndex]!);
}

/** Takes a file or an example as the picture. */
async function choosePicture(device: Device, name: string, file: () => Blob | Promise<Blob>): Promise<void> {
  for (const button of element('examples').children) {
    button.ariaPressed = String(button.getAttribute('aria-label') === name);
  }
  try {
    choose(device, { pixels: await decodePicture(await file(), name), classIndex: undefined });
  } catch (error) {
    say(messageOf(error), true);
  }
}

function showExamples(device: Device): void {
  for (const [name, url] of Object.entries(examples)) {
    const button = document.createElement('button');
    button.type = 'button';
    button.ariaLabel = name;
    const image = new Image();
    image.src = url.href;
    image.alt = '';
    button.append(image);
    button.addEventListener('click', () =>
      choosePicture(device, name, async () => (await fetch(url)).blob()),
    );
    element('examples').append(button);
  }
}

function listen(device: Device): void {
  const file = element<HTMLInputElement>('file');
  const take = (files: FileList | null | undefined) => {
    const [first] = files ?? [];
    if (first) choosePicture(device, first.name, () => first);
  };
  file.addEventListener('change', () => {
    take(file.files);
    // So that the same file may be chosen again.
    file.value = '';
  });
  for (const kind of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.toggle('dropping', kind === 'dragenter' || kind === 'dragover');
    });
  }
  document.addEventListener('drop', (event) => take(event.dataTransfer?.files));
  document.addEventListener('submit', (event) => event.preventDefault());
  document.addEventListener('change', ({ target }) => {
    if (!(target instanceof HTMLInputElement || target instanceof HTMLSelectElement)) return;
    const { value } = target;
    if (target.id === 'network') choose(device, { network: value, layer: undefined, classIndex: undefined });
    else if (target.id === 'layer') choose(device, { layer: value });
    else if (target.name === 'method') choose(device, { method: value });
    else if (target.name === 'class') choose(device, { classIndex: Number(value) });
  });
}

async function start(): Promise<void> {
  showOptions(
    element<HTMLSelectElement>('network'),
    shipped.map(({ name }) => [name, name] as const),
    chosen.network,
  );
  showMethods(chosen.method);
  // A picture that is dropped before anyone listens must not take the page's place.
  for (const kind of ['dragover', 'drop']) document.addEventListener(kind, (event) => event.preventDefault());
  const device = await openDevice();
  element('adapter').textContent = `Device: ${device.name} (${device.why})`;
  showExamples(device);
  listen(device);
  // Until now nothing that was chosen would have been heard.
  element('controls').inert = false;
  // The picture of the command line's demo.
  element('examples').querySelectorAll('button')[1]!.click();
}

start().catch((error: unknown) => {
  // Without a device there is nothing to choose.
  document.querySelector('main')!.hidden = true;
  element('failure').hidden = false;
  element('failure').textContent = messageOf(error);
});
