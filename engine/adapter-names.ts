// What to call a WebGPU adapter in front of a person.

type Described = Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description'>;

const UNNAMED = 'an unnamed adapter';

/** `vendor device (description)`, leaving out what the driver does not tell; `an unnamed adapter` at worst. */
export function adapterName(info: Described | undefined): string {
  // Browsers of 2023 have adapters without it.
  if (info === undefined) return UNNAMED;
  // Dawn replaces everything but letters and digits by a hyphen, also a closing bracket at the end.
  const device = (info.device || info.architecture).replace(/-+$/, '');
  const vendor = device.startsWith(info.vendor) ? '' : info.vendor;
  const description = info.description && `(${info.description})`;
  return [vendor, device, description].filter(Boolean).join(' ') || UNNAMED;
}

/** Whether a name given by `adapterName` is that of a driver which computes on the CPU. */
export function isSoftwareAdapter(name: string): boolean {
  return /llvmpipe|lavapipe|softpipe|swiftshader|basic render/i.test(name);
}
