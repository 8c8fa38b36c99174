// Conversions between float32 and the 16-bit floats that weights are stored in.

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The largest finite one. */
export const LARGEST_HALF = 65_504;

/** The value of an IEEE 754 binary16 bit pattern; exact. */
export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  // Rebiasing the exponent from 15 to 127 and widening the fraction gives the float32 pattern.
  bits[0] = ((exponent + 112) << 23) | (fraction << 13);
  return sign * float[0]!;
}

/** The value of a bfloat16 bit pattern, the upper half of a float32; exact. */
export function bfloatToFloat(bfloat: number): number {
  bits[0] = bfloat << 16;
  return float[0]!;
}

/**
 * The IEEE 754 binary16 bit pattern nearest to a float32, ties to even. Finite values of magnitude 65520 and
 * above become infinite; every NaN becomes the quiet NaN of its sign.
 */
export function floatToHalf(value: number): number {
  float[0] = value;
  const sign = (bits[0]! >>> 16) & 0x8000;
  const magnitude = bits[0]! & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 0x477ff000 is 65520, halfway between the largest half and the first power of two beyond it.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14 halves are multiples of 2^-24, which is the spacing of float32 just above 0.5: adding 0.5
    // makes float32 do the rounding.
    float[0] = Math.abs(value) + 0.5;
    return sign | (bits[0]! - 0x3f000000);
  }
  const rebiased = magnitude - (112 << 23);
  const odd = (rebiased >>> 13) & 1;
  return sign | ((rebiased + 0xfff + odd) >>> 13);
}
