// What goes on, for everything that takes longer than half a second: what it is, how far, for how long yet, and a way out.

import { type Activity, cancel, listeners } from './ask.ts';
import { button, element, make } from './dom.ts';

const PATIENCE = 500;
let now: Activity = { waiting: 0 };

/** Seconds in words. */
const duration = (ms: number): string =>
  ms < 90_000 ? `${Math.max(1, Math.round(ms / 1000))} s` : `${Math.round(ms / 60_000)} min`;

function show(): void {
  const { running, waiting } = now;
  const panel = element('activity');
  const elapsed = running ? performance.now() - running.since : 0;
  panel.classList.toggle('shown', elapsed > PATIENCE);
  if (!running || elapsed <= PATIENCE) return;
  const { share, what } = running;
  const left =
    share && share > 0 && share < 1
      ? `about ${duration((elapsed * (1 - share)) / share)} left`
      : `${duration(elapsed)} so far`;
  element('activity-text').textContent = `${what}: ${left}${waiting > 0 ? `; ${waiting} more to do` : ''}`;
  const bar = element<HTMLProgressElement>('activity-bar');
  if (share) bar.value = share;
  else bar.removeAttribute('value');
}

/** Shows from now on what goes on. */
export function showActivity(): void {
  element('activity').append(
    make('progress', { id: 'activity-bar', max: '1', 'aria-label': 'progress' }),
    make('span', { id: 'activity-text' }),
    button({ id: 'cancel' }, cancel, 'Cancel'),
  );
  listeners.activity = (activity) => {
    now = activity;
    show();
  };
  setInterval(show, 250);
}
