// Reads one HDF5 file apart from the program (see h5.ts).

import { serve } from '#platform';
import { type H5File, readContent } from './h5-content.ts';

serve(async (message) => readContent(await import('h5wasm'), message as H5File));
