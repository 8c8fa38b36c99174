// The layers that architectures and importers make networks of, a family a file: each makes a graph node with its
// parameters' keys and shapes, and says what it is (`Traits`). A new layer is a function in one of these files.

export * from './layers/activations.ts';
export * from './layers/combine.ts';
export * from './layers/move.ts';
export * from './layers/node.ts';
export * from './layers/normalise.ts';
export * from './layers/pool.ts';
export * from './layers/text.ts';
export * from './layers/tokens.ts';
export * from './layers/weighted.ts';
export * from './layers/windows.ts';
