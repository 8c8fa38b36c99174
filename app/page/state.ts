// What is chosen. It lives in the page's address, so that it survives a reload and can be sent as a link.

import { defaultMethods, methods } from '../../cam/index.ts';
import { catalog, presets } from '../../models/index.ts';
import { type ColourMap, colourMaps } from '../image/colour.ts';
import { examples } from './examples.ts';
import type { NetworkChoice, PictureFile } from './work/subject.ts';

/** The networks that come with their weights. */
export const shipped: readonly string[] = [...catalog.values()]
  .filter(({ weights }) => weights)
  .map(({ name }) => name);

/** Those that are fetched by name: their checksums are known beforehand. */
export const fetchable: readonly string[] = [...catalog.values()]
  .filter(({ published }) => published?.weights.sha256)
  .map(({ name }) => name);

export type Preset = keyof typeof presets;
export const presetNames = Object.keys(presets) as readonly Preset[];

export const fuses = ['', 'mean', 'max'] as const;
export type Fuse = (typeof fuses)[number];

export interface Choices {
  /** An example's name; "" where the picture is the visitor's. */
  readonly picture: string;
  /** A shipped network or a published one; "" where it is the visitor's. */
  readonly network: string;
  /** How pixels become the input of the visitor's network; "": as its file says. */
  readonly preset: Preset | '';
  /** What a network that reads a text is to read; "": its standard one. */
  readonly text: string;
  /** The output of the visitor's network that is explained; "": the one that is meant, if there is one. */
  readonly output: string;
  readonly methods: readonly string[];
  /** By index; none: the predicted class. */
  readonly classes: readonly number[];
  /** None: the method's. The first alone counts where none are fused. */
  readonly layers: readonly string[];
  /** How maps of several layers become one; "": only one is shown. */
  readonly fuse: Fuse;
  readonly of: 'logit' | 'probability';
  /** Evidence against is shown too. */
  readonly signed: boolean;
  /** Which two maps are subtracted, each by its method and class, with a comma between; "": none. */
  readonly difference: string;
  /** In percent. */
  readonly opacity: number;
  readonly colours: ColourMap;
}

/** Takes a change of the choices, and the files that it is about. */
export type Choose = (
  change: Partial<Choices>,
  files?: { picture?: PictureFile; network?: NetworkChoice; classNames?: readonly string[] },
) => Promise<void>;

export const defaults: Choices = {
  picture: 'scene-2',
  network: 'digit-scenes',
  preset: '',
  text: '',
  output: '',
  methods: ['grad-cam'],
  classes: [],
  layers: [],
  fuse: '',
  of: 'logit',
  signed: false,
  difference: '',
  opacity: 70,
  colours: 'viridis',
};

/** How each choice is read from the address; undefined where it says nothing that can be chosen. */
const readers: { readonly [Key in keyof Choices]: (text: string) => Choices[Key] | undefined } = {
  picture: (text) => (examples.has(text) ? text : undefined),
  network: (text) => ([...shipped, ...fetchable].includes(text) ? text : undefined),
  preset: (text) => presetNames.find((name) => name === text),
  text: (text) => text,
  output: (text) => text,
  methods: (text) => list(text.split(',').filter((name) => methods.has(name))),
  classes: (text) =>
    list(
      text
        .split(',')
        .map(Number)
        .filter((index) => Number.isInteger(index) && index >= 0),
    ),
  layers: (text) => list(text.split(',')),
  fuse: (text) => fuses.find((one) => one === text),
  of: (text) => (text === 'probability' || text === 'logit' ? text : undefined),
  signed: (text) => text === 'true',
  difference: (text) => text,
  opacity: (text) => (/^\d+$/.test(text) && Number(text) <= 100 ? Number(text) : undefined),
  colours: (text) => colourMaps.find((map) => map === text),
};

const list = <T>(found: readonly T[]) => (found.length > 0 ? [...new Set(found)] : undefined);

/** The choices in a page's address; what it leaves open, or asks for wrongly, is as by default. */
export function readAddress(search: string): Choices {
  const said = new URLSearchParams(search);
  const read = Object.entries(readers).flatMap(([key, reader]) => {
    const value = said.has(key) ? reader(said.get(key)!) : undefined;
    return value === undefined ? [] : [[key, value]];
  });
  return { ...defaults, ...Object.fromEntries(read) };
}

/** The choices that are not as by default, as the search part of an address. */
export function writeAddress(choices: Choices): string {
  const entries = Object.entries(choices).filter(
    ([key, value]) => String(value) !== String(defaults[key as keyof Choices]),
  );
  const said = new URLSearchParams(entries.map(([key, value]) => [key, String(value)]));
  return said.size > 0 ? `?${said.toString().replaceAll('%2C', ',')}` : '';
}

/** Methods in the order in which they are offered: the usual ones first. */
export const methodNames: readonly string[] = [
  ...defaultMethods,
  ...[...methods.keys()].filter((name) => !defaultMethods.includes(name)),
];
