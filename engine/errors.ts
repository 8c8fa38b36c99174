// The typed errors that Limelight throws. Every message says what was wrong, where, and what to do.

/** Base of all errors that Limelight throws on purpose; anything else is a bug. */
export class LimelightError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No WebGPU device could be opened; the message lists every adapter tried and why it failed. */
export class NoDeviceError extends LimelightError {}

/** An adapter was asked for by a name that does not exist; the message lists the names. */
export class UnknownAdapterError extends LimelightError {}

/** The device went away (driver reset, `destroy`); everything on it is gone. */
export class DeviceLostError extends LimelightError {}

/** WebGPU refused a shader or a command; the message names the kernel. */
export class KernelError extends LimelightError {}

/** An operation was called with shapes or attributes that do not fit together. */
export class ShapeError extends LimelightError {}

/** Tensors of several devices were given to one operation; each device has its own memory. */
export class MixedDevicesError extends LimelightError {}

/** An allocation would exceed the memory budget of the device, or a tensor is larger than its kernels can see. */
export class MemoryBudgetError extends LimelightError {}

/** Work that waits for the device was begun in a scope or under a derivative, which would free its tensors before it is done. */
export class ScopeError extends LimelightError {}

/** A disposed tensor was used. */
export class DisposedError extends LimelightError {}
