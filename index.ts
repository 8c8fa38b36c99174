// The library: devices and tensors, networks, explanations.

export * from './cam/index.ts';
export * from './engine/index.ts';
export * from './models/index.ts';
