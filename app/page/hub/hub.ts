// Published networks by name. They are fetched when the visitor says so, by a frame of its own: what knows pictures may talk
// to nobody, and what may fetch knows no picture. They are kept in this browser.

import { messageOf } from '../../../engine/platform/errors.ts';
import { published } from '../../../models/hub/published.ts';
import { HubError } from '../../../models/hub/remote-file.ts';
import { catalogEntry } from '../../../models/index.ts';
import { classNames } from '../../../models/labels.ts';
import { CancelledError } from '../ask.ts';
import { element, make, showOptions } from '../dom.ts';
import { type Choices, type Choose, fetchable } from '../state.ts';
import type { NetworkChoice } from '../work/subject.ts';
import type { Told } from './frame.ts';
import { remoteFiles } from './remote.ts';

/** A cache of the page's origin; its names are addresses. */
const CACHE = 'limelight weights';
const addressOf = (name: string) => `https://limelight.invalid/${name}`;

/** What was fetched since the page was loaded, whether the browser keeps it or not. */
const held = new Map<string, readonly File[]>();

/** The files of a published network, if they are in this browser. */
async function keptFiles(name: string): Promise<readonly File[] | undefined> {
  const found = held.get(name);
  if (found) return found;
  const cache = await caches.open(CACHE).catch(() => undefined);
  const files = await Promise.all(
    remoteFiles(name).map(async (remote) => {
      const kept = await cache?.match(addressOf(remote.name));
      return kept && new File([await kept.blob()], remote.name);
    }),
  );
  return files.every((file) => file !== undefined) ? files : undefined;
}

/** Keeps files for the next time, if the browser has room for them. */
async function keep(name: string, files: readonly File[]): Promise<void> {
  held.set(name, files);
  const cache = await caches.open(CACHE);
  for (const file of files) await cache.put(addressOf(file.name), new Response(file));
}

/** A published network as tasks take it; undefined where it is not in this browser. */
export async function publishedChoice(name: string): Promise<NetworkChoice | undefined> {
  const files = fetchable.includes(name) ? await keptFiles(name) : undefined;
  if (!files) return undefined;
  const { text, classes } = catalogEntry(name);
  return {
    id: name,
    files,
    architecture: name,
    ...(!text && { classes: classNames(await files[1]!.text(), classes.length, files[1]!.name) }),
  };
}

/** Fetches a network's files. Rejects with a HubError, or a CancelledError where `signal` ends it. */
async function fetchFiles(
  name: string,
  progress: (share: number) => void,
  signal: AbortSignal,
): Promise<readonly File[]> {
  const frame = make('iframe', { src: `./hub/#${name}`, title: 'fetches weights', hidden: true });
  const over = new AbortController();
  try {
    return await new Promise((resolve, reject) => {
      const hear = ({ source, data }: MessageEvent<Told>) => {
        if (source !== frame.contentWindow) return;
        if ('share' in data) progress(data.share);
        else if ('files' in data) resolve(data.files);
        else reject(new HubError(data.problem));
      };
      addEventListener('message', hear, { signal: over.signal });
      signal.addEventListener('abort', () => reject(new CancelledError(`fetching ${name} was cancelled`)));
      document.body.append(frame);
    });
  } finally {
    over.abort();
    frame.remove();
  }
}

const megabytes = (name: string) =>
  `${(remoteFiles(name).reduce((sum, { bytes }) => sum + bytes, 0) / 1e6).toFixed(0)} MB`;

/** What an address asked for that is not in this browser; chosen as soon as it is fetched. */
let asked: Choices | undefined;

/** Offers a published network that an address asks for. */
export function offer(choices: Choices): void {
  asked = choices;
  const { network } = choices;
  element<HTMLDetailsElement>('hub').open = true;
  element<HTMLSelectElement>('published').value = network;
  say(`The link asks for ${network}, which has to be fetched first.`);
  showOffer();
}

const say = (words: string) => {
  element('hub-says').textContent = words;
};

function showOffer(): void {
  const name = element<HTMLSelectElement>('published').value;
  const { licence, weights } = published.get(name)!;
  const page = weights.url.replace(/\/resolve\/.*/, '');
  element('published-is').replaceChildren(
    'From ',
    make('a', { href: page, target: '_blank', rel: 'noreferrer' }, page.replace('https://', '')),
    `, ${licence}.`,
  );
  element('fetch').textContent = `Fetch ${megabytes(name)}`;
}

/** Listens to what is fetched by name. */
export function listenToHub(choose: Choose): void {
  const [select, button] = [element<HTMLSelectElement>('published'), element<HTMLButtonElement>('fetch')];
  const bar = element<HTMLProgressElement>('fetched');
  showOptions(
    select,
    fetchable.map((name) => [name, `${name}, ${megabytes(name)}`] as const),
    fetchable[0]!,
  );
  showOffer();
  select.addEventListener('change', showOffer);
  let stop: AbortController | undefined;
  button.addEventListener('click', async () => {
    if (stop) return stop.abort();
    const name = select.value;
    stop = new AbortController();
    bar.value = 0;
    bar.hidden = false;
    button.textContent = 'Cancel';
    say(`Fetching ${name} …`);
    try {
      const progress = (share: number) => {
        bar.value = share;
      };
      const files = (await keptFiles(name)) ?? (await fetchFiles(name, progress, stop.signal));
      const isKept = await keep(name, files).then(
        () => true,
        () => false,
      );
      say(`${name} is here${isKept ? '' : ' until the page is closed: the browser has no room for it'}.`);
      choose(
        asked?.network === name ? asked : { network: name, layers: [], text: '', output: '', classes: [] },
      );
    } catch (error) {
      say(messageOf(error));
    }
    stop = undefined;
    bar.hidden = true;
    showOffer();
  });
}
