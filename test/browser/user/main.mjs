// A page that uses the package as any project would, and answers the test's questions.

import * as limelight from 'limelight';
import { explainAll } from './explain-all.ts';

const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());

/** A picture decoded by the browser. */
async function pixels(url) {
  const bitmap = await createImageBitmap(await (await fetch(url)).blob());
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  return { width, height, rgb: rgba.filter((_, i) => i % 4 < 3) };
}

const device = limelight.openDevice();

window.explain = async (name, picture, methods) =>
  explainAll(
    limelight,
    await device,
    name,
    await bytes(limelight.catalogEntry(name).weights),
    await pixels(picture),
    methods,
  );

window.liveBytes = async () => (await device).memory.liveBytes;
