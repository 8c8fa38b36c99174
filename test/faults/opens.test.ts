// A device that is closed gives its memory back.

import test from 'tape';
import { start } from './processes.ts';

const COUNT = 150;
const FIRST = 100;
/** Megabytes: Mesa's driver keeps 2.7 for each device that is not collected, SwiftShader 0.04. */
const MOST_EACH = 0.2;
/** Megabytes that closed devices may take until they are collected, whether anybody asks for that or not. */
const MOST_AT_ONCE = 150;

for (const LIMELIGHT_DEVICE of ['gles', 'swiftshader']) {
  test(`${COUNT} devices of ${LIMELIGHT_DEVICE}, opened and closed`, async (t) => {
    const child = start('opens.ts', [String(COUNT), String(FIRST)], {
      LIMELIGHT_DEVICE,
      NODE_OPTIONS: '--expose-gc',
    });
    const said = JSON.parse(await child.said);
    if (said === null) {
      t.skip(`this machine has no ${LIMELIGHT_DEVICE}`);
      return;
    }
    const { each, most } = said;
    t.ok(each < MOST_EACH, `each keeps ${each.toFixed(3)} MB`);
    t.ok(most < MOST_AT_ONCE, `all together took ${most.toFixed(0)} MB at once`);
  });
}
