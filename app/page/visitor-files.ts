// Files that the visitor drops or chooses: pictures and models.

import { labelsIn } from '../../models/labels.ts';
import { element } from './dom.ts';
import type { Choose } from './state.ts';

const PICTURE = /\.(png|jpe?g|webp|gif|bmp|avif)$/i;
/** Whether a file is a model itself, not a part of one. */
const MODEL = /(\.(onnx|keras|h5|hdf5|safetensors|pth|pt|th|ckpt|bin)|model\.json)$/i;

/** A file of class names, or one that has them among other things. */
const LABELS = /(labels|class_indices|classes|config|metadata)[^/]*\.(txt|json)$/i;

let count = 0;

/** Files of a drop; those in folders too. */
async function filesOf(dropped: DataTransfer): Promise<File[]> {
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...dropped.files];
  const read = async (entry: FileSystemEntry): Promise<File[]> => {
    if (entry.isFile)
      return [
        await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)),
      ];
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    const inside: FileSystemEntry[] = [];
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
        reader.readEntries(resolve, reject),
      );
      if (some.length === 0) break;
      inside.push(...some);
    }
    return (await Promise.all(inside.map(read))).flat();
  };
  return (await Promise.all(entries.map(read))).flat();
}

/** Takes what was dropped or chosen: a picture, a model with what belongs to it, names of its classes, or all of them. */
export async function takeFiles(given: DataTransfer | readonly File[], choose: Choose): Promise<void> {
  const files = given instanceof DataTransfer ? await filesOf(given) : [...given];
  const model = files.find(({ name }) => name === 'model.json') ?? files.find(({ name }) => MODEL.test(name));
  const labels = files.find(({ name }) => LABELS.test(name));
  const classes = labels && labelsIn(await labels.text());
  const picture =
    files.find((file) => file.type.startsWith('image/') || PICTURE.test(file.name)) ??
    (model || classes ? undefined : files[0]);
  if (!model && !picture && !classes) return;
  count++;
  const parts = files.filter((one) => one !== model && one !== picture);
  choose(
    {
      ...(model && { network: '', layers: [], preset: '', output: '' }),
      ...(picture && { picture: '' }),
      classes: [],
    },
    {
      ...(model && { network: { id: `${model.name}#${count}`, files: [model, ...parts] } }),
      ...(picture && { picture: { id: `${picture.name}#${count}`, name: picture.name, file: picture } }),
      ...(classes && { classNames: classes }),
    },
  );
  element('result').scrollIntoView({ block: 'nearest' });
}
