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

export interface Platform {
  /** A file as UTF-8 text. Throws `FileError`, which names the file. */
  text(url: URL): Promise<string>;
  /** A file's bytes. Throws `FileError`, which names the file. */
  bytes(url: URL): Promise<Uint8Array>;
  /**
   * Opens the best adapter there is, or exactly the one that `choice` names.
   * Throws `UnknownAdapterError` for a name that does not exist, `NoDeviceError` when nothing could be opened.
   */
  openAdapter(choice?: string): Promise<OpenAdapter>;
  /**
   * Runs a module apart from this program, gives it a message, and ends it with its answer. Rejects if the module ends
   * by itself or does not answer within `limit` milliseconds: whatever it does, it harms itself alone.
   */
  apart(module: URL, message: unknown, limit: number): Promise<unknown>;
  /** What such a module calls: answers the message. */
  serve(answer: (message: unknown) => Promise<unknown>): void;
}
