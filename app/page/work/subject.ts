// What tasks are about: a picture and a network. Files travel to the worker as references, so that nothing is copied; what
// they are opened to is kept for the next task.

import { observe, type Trace } from '../../../cam/index.ts';
import { type Device, LimelightError, type Shape } from '../../../engine/index.ts';
import { messageOf } from '../../../engine/platform/errors.ts';
import { readTokenizer } from '../../../models/hub/tokenizer.ts';
import {
  catalogEntry,
  disposeNetwork,
  dryRun,
  type Network,
  type OpenOptions,
  open,
  type Pixels,
  type Preprocessing,
  preprocess,
  targetLayers,
  visiblePixels,
} from '../../../models/index.ts';
import { decodePicture } from '../picture.ts';

/** A picture's file. Two with one id are the same. */
export interface PictureFile {
  readonly id: string;
  readonly name: string;
  readonly file: Blob;
}

/** A shipped network by its name, or the files of a published one or another. Two with one id are the same. */
export interface NetworkChoice {
  readonly id: string;
  /** The model first, then what belongs to it: parts, names of classes. */
  readonly files?: readonly File[];
  readonly preprocessing?: Partial<Preprocessing>;
  readonly classes?: readonly string[];
  /** Which network of the catalog the files are of; left out where they tell. */
  readonly architecture?: string;
  /** What a network that reads a text is to read. */
  readonly text?: string;
  /** The output that is explained, of files that have several. */
  readonly output?: string;
}

export interface Subject {
  readonly picture: PictureFile;
  readonly network: NetworkChoice;
}

/** A subject, opened: the network has seen the picture. */
export interface Opened {
  readonly network: Network;
  readonly pixels: Pixels;
  /** The part of the picture that the network sees, in its size. */
  readonly seen: Pixels;
  readonly trace: Trace;
}

interface Kept<T> {
  readonly key: string;
  readonly value: Promise<T>;
}

/** A loader that keeps what it loaded last, and frees what that replaces. */
function keepLast<Given, T>(
  keyOf: (given: Given) => string,
  load: (given: Given) => Promise<T>,
  free: (old: T) => void,
) {
  let kept: Kept<T> | undefined;
  return (given: Given): Promise<T> => {
    const key = keyOf(given);
    if (kept?.key === key) return kept.value;
    kept?.value.then(free, () => {});
    const mine = { key, value: load(given) };
    kept = mine;
    mine.value.catch(() => {
      if (kept === mine) kept = undefined;
    });
    return mine.value;
  };
}

/** The files' names of a choice, by which a model finds its parts. */
const partsOf = (files: readonly File[]) => async (name: string) => {
  const wanted = name.split('/').at(-1);
  const found = files.find((file) => file.name === wanted);
  if (found) return new Uint8Array(await found.arrayBuffer());
  throw new LimelightError(`the model has a part "${name}" beside it; drop it together with the model`);
};

/** How texts become tokens, where a file says that. */
async function vocabularyIn(files: readonly File[]): Promise<Pick<OpenOptions, 'tokenizer'>> {
  const found = files.find(({ name }) => name.endsWith('tokenizer.json'));
  return found ? { tokenizer: await readTokenizer(await found.text(), found.name) } : {};
}

const networkIdOf = ({ files: _, ...said }: NetworkChoice): string => JSON.stringify(said);

/** A tensor, read back. */
export interface Values {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** What a task works with. */
export interface Work {
  readonly device: Device;
  readonly open: (subject: Subject) => Promise<Opened>;
  readonly progress: (share: number) => void;
}

/** Opens subjects on a device. */
export function opener(device: Device): (subject: Subject) => Promise<Opened> {
  const network = keepLast(
    networkIdOf,
    async ({ id, files, ...options }: NetworkChoice) =>
      files
        ? open(device, files[0]!, { parts: partsOf(files), ...(await vocabularyIn(files)), ...options })
        : open(device, catalogEntry(id).name, options),
    disposeNetwork,
  );
  const pixels = keepLast(
    ({ id }: PictureFile) => id,
    ({ file, name }) => decodePicture(file, name),
    () => {},
  );
  return keepLast(
    (subject: Subject) => JSON.stringify([subject.picture.id, networkIdOf(subject.network)]),
    async (subject): Promise<Opened> => {
      const [taken, picture] = [await network(subject.network), await pixels(subject.picture)];
      const input = preprocess(taken, picture);
      try {
        checkFits(taken, picture, input.shape);
        // From every layer at once: whatever is chosen next, the network need not run again.
        const layers = [...targetLayers(dryRun(taken.graph, input.shape)).keys()];
        const trace = observe(taken, input, { layers });
        return { network: taken, pixels: picture, seen: visiblePixels(taken, picture), trace };
      } catch (error) {
        input.dispose();
        throw error;
      }
    },
    ({ trace }) => {
      trace.dispose();
      trace.picture.dispose();
    },
  );
}

/** Throws where a network cannot compute a picture, such as one smaller than a kernel. */
function checkFits({ name, graph }: Network, { width, height }: Pixels, shape: readonly number[]): void {
  try {
    dryRun(graph, shape);
  } catch (cause) {
    throw new LimelightError(
      `${name} cannot take a picture of ${width} × ${height} pixels: ${messageOf(cause)}; choose a larger one`,
      { cause },
    );
  }
}
