// Emoji from the npm packages emoji-datasource-google (the drawings, Noto Emoji, 64 x 64 with transparency) and
// emojibase-data (their names).

import { PNG } from 'pngjs';
import type { Sprite } from './emoji-scenes.ts';
import { DataError } from './labelled-images.ts';
import { readPackageFile } from './package-file.node.ts';

const DRAWINGS = 'emoji-datasource-google@16.0.0';
const NAMES = 'emojibase-data@17.0.0';

/** Code points of an emoji but for the one that asks for colours, which the packages do not put at the same places. */
const plain = (code: string) => code.toLowerCase().replaceAll('-fe0f', '');

/**
 * The drawings of each name: those that are called so, and so with "face" behind it.
 * @param folder where `npm install --prefix <folder>` put both packages
 * @throws DataError if a file is missing or malformed, or there is no drawing of a name
 */
export async function readEmoji(folder: string, names: readonly string[]): Promise<Sprite[][]> {
  const codes = await readTable(folder, NAMES, 'en/data.json', ({ label, hexcode }) => [
    label,
    plain(hexcode),
  ]);
  const images = await readTable(folder, DRAWINGS, 'emoji.json', ({ unified, image }) => [
    plain(unified),
    image,
  ]);
  return Promise.all(
    names.map((name) => {
      const found = [name, `${name} face`].flatMap((label) => images.get(codes.get(label) ?? '') ?? []);
      if (found.length === 0) throw new DataError(`${DRAWINGS}: there is no emoji called "${name}"`);
      return Promise.all(found.map((image) => readSprite(folder, image)));
    }),
  );
}

/** Two texts of each entry of a JSON file, the first as the key. */
async function readTable(
  folder: string,
  spec: string,
  path: string,
  row: (entry: Record<string, string>) => [string, string],
): Promise<Map<string, string>> {
  const { where, bytes } = await readPackageFile(folder, spec, path);
  try {
    return new Map((JSON.parse(new TextDecoder().decode(bytes)) as Record<string, string>[]).map(row));
  } catch (cause) {
    throw new DataError(`${where}: expected a JSON array of emoji (${(cause as Error).message})`);
  }
}

async function readSprite(folder: string, image: string): Promise<Sprite> {
  const { where, bytes } = await readPackageFile(folder, DRAWINGS, `img/google/64/${image}`);
  try {
    const { width, height, data } = PNG.sync.read(Buffer.from(bytes));
    if (width === 64 && height === 64) return data;
    throw new DataError(`${width} x ${height} pixels, expected 64 x 64`);
  } catch (cause) {
    throw new DataError(`${where} cannot be read: ${(cause as Error).message}`);
  }
}
