// A headless Chromium with software WebGPU: the one that CHROMIUM names, the system's, or the one inside the optional
// package @sparticuz/chromium.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { type Browser, launch } from 'puppeteer-core';
import { withFolder } from './folder.ts';

/** What the browsers are called in the folders of PATH. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

const SWIFTSHADER = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
  '--use-angle=swiftshader',
];
/** Milliseconds for anything asked of the browser: for a machine that has much else to do. */
export const PATIENCE = 300_000;
/** Only localhost has an address, so nothing can be asked of the network. */
const OFFLINE = ['--disable-quic', '--no-pings', '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost'];

/** Where a browser is: the program, or a folder of archives that holds one. */
export interface Chromium {
  readonly path: string;
  readonly packed: boolean;
}

/** The browser to use; undefined where there is none. */
export function findChromium(): Chromium | undefined {
  const { CHROMIUM, PATH = '' } = process.env;
  if (CHROMIUM) return { path: CHROMIUM, packed: false };
  const installed = PATH.split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  // Not resolved as a module, which would run it.
  const roots = createRequire(import.meta.url).resolve.paths('@sparticuz/chromium') ?? [];
  const archives = roots.map((root) => join(root, '@sparticuz/chromium/bin'));
  const usable = process.platform === 'linux' && process.arch === 'x64';
  return [
    ...installed.map((path) => ({ path, packed: false })),
    ...(usable ? archives.map((path) => ({ path, packed: true })) : []),
  ].find(({ path }) => existsSync(path));
}

/** Opens a browser for the length of `use`. It and its files are gone afterwards, whatever `use` throws. */
export async function withChromium(
  { path, packed }: Chromium,
  use: (browser: Browser) => Promise<void>,
  flags: readonly string[] = [],
): Promise<void> {
  await withFolder(async (folder) => {
    const browser = await launch({
      executablePath: packed ? unpack(path, folder) : path,
      headless: 'shell',
      userDataDir: join(folder, 'profile'),
      args: ['--no-sandbox', ...SWIFTSHADER, ...OFFLINE, ...flags],
      env: {
        ...process.env,
        ...(packed && { LD_LIBRARY_PATH: join(folder, 'lib'), FONTCONFIG_PATH: folder }),
      },
      timeout: PATIENCE,
      protocolTimeout: PATIENCE,
    });
    try {
      await use(browser);
    } finally {
      await browser.close();
    }
  });
}

/** Unpacks browser, drivers, libraries and fonts; returns the path of the browser. */
function unpack(archives: string, folder: string): string {
  const read = (name: string) => brotliDecompressSync(readFileSync(join(archives, name)));
  for (const name of readdirSync(archives).filter((file) => file.endsWith('.tar.br'))) {
    const { status, stderr } = spawnSync('tar', ['-x', '-C', folder], { input: read(name) });
    if (status !== 0) throw new Error(`cannot unpack ${name}: ${stderr}`);
  }
  writeFileSync(join(folder, 'fonts.conf'), `<fontconfig><dir>${folder}/fonts</dir></fontconfig>`);
  const executable = join(folder, 'chromium');
  writeFileSync(executable, read('chromium.br'), { mode: 0o700 });
  return executable;
}
