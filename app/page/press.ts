// A click is lost where what it began on is drawn anew before it ends, so answers wait for the end of a press.

/** The most milliseconds for which an answer waits. */
const LONGEST_PRESS = 5000;
let press: Promise<void> | undefined;

document.addEventListener(
  'pointerdown',
  () => {
    press = new Promise((resolve) => {
      // After the click that follows. Of a press that opens a list the page is told no end, but what was chosen.
      const over = new AbortController();
      const end = () => {
        over.abort();
        setTimeout(resolve);
      };
      for (const kind of ['pointerup', 'pointercancel', 'change', 'keydown'])
        document.addEventListener(kind, end, { capture: true, signal: over.signal });
      setTimeout(end, LONGEST_PRESS);
    });
  },
  true,
);

/** Done when no button of the mouse is down. */
export const released = async (): Promise<void> => press;
