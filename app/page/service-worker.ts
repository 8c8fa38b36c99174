// Keeps the page's files in the browser, so that it works without a network after it was loaded once. The files' names hold
// hashes of what is in them, but for the page itself: that is taken from the network where there is one.

/** The files of this build, and what tells it from others; vite.config.ts puts them here. */
declare const FILES: readonly string[];
declare const VERSION: string;

/** What of a service worker is used here; TypeScript has either its types or those of pages. */
interface Scope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  addEventListener(
    kind: 'install' | 'activate' | 'fetch',
    listener: (event: Lasting & Fetching) => void,
  ): void;
}
interface Lasting {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

const scope = globalThis as unknown as Scope;
/** The page's address without what is chosen. */
const page = scope.registration.scope;
/** One cache a build. */
const name = `limelight ${page} ${VERSION}`;

scope.addEventListener('install', (event) => {
  event.waitUntil(caches.open(name).then((cache) => cache.addAll([...FILES])));
});

// Only when no page of another build is open any more, so that each finds its files as long as it lives.
scope.addEventListener('activate', (event) => {
  const isOld = (other: string) => other.startsWith(`limelight ${page} `) && other !== name;
  const forget = async () => {
    for (const other of await caches.keys()) if (isOld(other)) await caches.delete(other);
    await scope.clients.claim();
  };
  event.waitUntil(forget());
});

scope.addEventListener('fetch', (event) => {
  const { request } = event;
  if (!request.url.startsWith(page)) return;
  const kept = async (key: string | Request, options?: CacheQueryOptions) =>
    (await caches.open(name)).match(key, options);
  event.respondWith(
    request.mode === 'navigate'
      ? fetch(request).catch(
          // Whatever is chosen in its address.
          async () => (await kept(request, { ignoreSearch: true })) ?? (await kept(page)) ?? Response.error(),
        )
      : kept(request).then((found) => found ?? fetch(request)),
  );
});
