// What the platform, Node or a browser, must provide: files and a WebGPU adapter. Import it as `#platform`.

/** How an adapter is reached; see `openAdapter` of the platform for the order. */
export type AdapterKind = 'native' | 'gles' | 'swiftshader' | 'browser';

export interface OpenAdapter {
  gpu: GPU;
  /** Not consumed yet: good for exactly one `requestDevice`. */
  adapter: GPUAdapter;
  kind: AdapterKind;
  /** For people: vendor, device, description. Software adapters are named truthfully, whatever their kind. */
  name: string;
  /** One phrase: why this adapter was chosen. */
  why: string;
}

/** A module that runs apart. */
export interface Apart {
  /**
   * Gives the module a message, one at a time, and resolves to its answer. Rejects if the module ends by itself, or
   * does not answer within `limit` milliseconds and is ended for it; it is of no use then.
   */
  ask(message: unknown, limit: number): Promise<unknown>;
  /** Ends the module. */
  end(): void;
}

/** Memory that may still be taken, and what bounds it, in words. */
export interface Available {
  readonly bytes: number;
  readonly by: string;
}

export interface Platform {
  /** A file as UTF-8 text. Throws `FileError`, which names the file. */
  text(url: URL): Promise<string>;
  /** A file's bytes. Throws `FileError`, which names the file. */
  bytes(url: URL): Promise<Uint8Array>;
  /**
   * The bytes of a file in an npm package, such as "h5wasm/dist/file.wasm"; undefined in a browser, where a bundler puts
   * such files where the package itself finds them.
   */
  packageBytes(specifier: string): Promise<Uint8Array | undefined>;
  /** A small text that `keepText` kept on this machine under a name; undefined where there is none. */
  keptText(name: string): Promise<string | undefined>;
  /** Keeps a small text, and says where. Throws `CacheError` where it cannot. */
  keepText(name: string, text: string): Promise<string>;
  /**
   * Opens the best adapter there is, or exactly the one that `choice` names.
   * Throws `UnknownAdapterError` for a name that does not exist, `NoDeviceError` when nothing could be opened.
   */
  openAdapter(choice?: string): Promise<OpenAdapter>;
  /** Runs `use`, meanwhile what drivers print by themselves leads nowhere. */
  quietly<T>(use: () => Promise<T>): Promise<T>;
  /** How much memory may still be taken; undefined where nothing says so. */
  availableMemory(): Available | undefined;
  /** Starts a module apart from this program, in a process or worker: whatever it does, it harms itself alone. */
  apart(module: URL): Apart;
  /** What such a module calls: answers every message. */
  serve(answer: (message: unknown) => Promise<unknown>): void;
}
