// The visitor's own files: pictures and models, dropped or chosen.

import { element } from './dom.ts';
import type { Choose } from './state.ts';

const PICTURE = /\.(png|jpe?g|webp|gif|bmp|avif)$/i;
/** A model's own file, before its parts. */
const MODEL = /(\.(onnx|keras|h5|hdf5|safetensors|pth|pt|th|ckpt|bin)|model\.json)$/i;

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

/** Takes what was dropped or chosen: a picture, a model with what belongs to it, or both. */
export async function takeFiles(given: DataTransfer | readonly File[], choose: Choose): Promise<void> {
  const files = given instanceof DataTransfer ? await filesOf(given) : [...given];
  const model = files.find(({ name }) => MODEL.test(name));
  const picture =
    files.find((file) => file.type.startsWith('image/') || PICTURE.test(file.name)) ??
    (model ? undefined : files[0]);
  if (!model && !picture) return;
  count++;
  choose(
    { ...(model && { network: '', layer: '' }), ...(picture && { picture: '' }), classes: [] },
    {
      ...(model && {
        network: {
          id: `${model.name}#${count}`,
          files: [model, ...files.filter((one) => one !== model && one !== picture)],
        },
      }),
      ...(picture && { picture: { id: `${picture.name}#${count}`, name: picture.name, file: picture } }),
    },
  );
  element('result').scrollIntoView({ block: 'nearest' });
}
