// A module for `apart` that takes its message and never answers.

import { serve } from '#platform';

serve(async () => {
  for (;;);
});
