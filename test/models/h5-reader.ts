// Reads HDF5 files apart from the program, one after the other, for tests that try thousands. Loading the library takes
// ten times as long as reading a small file, so its memory is put back to what it was instead.

import { serve } from '#platform';
import { type H5File, readContent } from '../../models/formats/keras/h5-content.ts';

const library = await import('h5wasm');
const module = await library.ready;
/** What of its memory holds anything at first. */
const fresh = module.HEAPU8.slice(0, module.HEAPU8.findLastIndex((byte) => byte !== 0) + 1);

/** What the reader for users answers, and the bytes that the library's memory has grown to. */
serve(async (message) => {
  module.HEAPU8.set(fresh);
  module.HEAPU8.fill(0, fresh.length);
  const content = await readContent(library, message as H5File);
  return { content, memory: module.HEAPU8.length };
});
