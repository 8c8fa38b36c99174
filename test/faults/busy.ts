// A module apart that says who it is, and then never returns (apart.test.ts).

import { serve } from '#platform';

serve(async (message) => {
  if (message === 'who') return process.pid;
  for (;;);
});
