// Pictures to begin with.

import { bytes } from '#platform';

interface Example {
  readonly title: string;
  readonly url: URL;
}

export const examples: ReadonlyMap<string, Example> = new Map([
  ['scene-1', { title: 'digits 2 and 5', url: new URL('../../models/images/scene-1.png', import.meta.url) }],
  [
    'scene-2',
    { title: 'digits 3, 0 and 7', url: new URL('../../models/images/scene-2.png', import.meta.url) },
  ],
  [
    'scene-3',
    { title: 'digits 6, 9 and 3', url: new URL('../../models/images/scene-3.png', import.meta.url) },
  ],
  [
    'mosaic-2x2',
    { title: 'four CIFAR pictures', url: new URL('../../models/images/mosaic-2x2.png', import.meta.url) },
  ],
  [
    'mosaic-4x4',
    { title: 'sixteen CIFAR pictures', url: new URL('../../models/images/mosaic-4x4.png', import.meta.url) },
  ],
  [
    'emoji-1',
    {
      title: 'a pear, a doughnut, a pizza and a fox',
      url: new URL('../../models/images/emoji-1.png', import.meta.url),
    },
  ],
  [
    'emoji-2',
    {
      title: 'a cookie, a monkey, an owl and a koala',
      url: new URL('../../models/images/emoji-2.png', import.meta.url),
    },
  ],
]);

/** An example's file. Throws FileError where it does not arrive. */
export const exampleFile = async (name: string): Promise<Blob> =>
  new Blob([(await bytes(examples.get(name)!.url)) as BlobPart]);
