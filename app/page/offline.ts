// Lets the browser keep the page's files, so that it works without a network from then on.

import { element } from './dom.ts';

/** Starts the service worker of a built page; where that is not allowed, as in private windows, the page works online alone. */
export function keepOffline(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  void navigator.serviceWorker.register('./service-worker.js').then(
    () =>
      navigator.serviceWorker.ready.then(() => {
        element('offline').textContent = 'Kept in this browser: it works without a network, too.';
      }),
    () => {},
  );
}
