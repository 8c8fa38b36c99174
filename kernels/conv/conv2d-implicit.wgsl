// A convolution and its gradients as products whose factors are read from where they lie, for product.wgsl ("implicit GEMM",
// Chetlur 2014, arXiv:1410.0759). Batches are images of groups, batch b group b % pieces of image b / pieces.
// GRADIENT = 0: y [N, O, OH, OW] from the weights a [O, C/groups, KERNEL_Y, KERNEL_X] and the pixels b [N, C, H, W]: rows are
//   a group's output channels, columns output pixels, and k runs over a group's input channels and the kernel's taps.
//   With ADJOINT = 1 the weights are those of the convolution of which this is the adjoint: [C, O/groups, ..], turned by 180
//   degrees. SPREAD_Y, SPREAD_X - 1 zeros are thought between the pixels of b (the adjoint of a stride).
// GRADIENT = 1: dw [O, C/groups, KERNEL_Y, KERNEL_X] from the cotangent a [N, O, OH, OW] and b [N, C, H, W]: rows are a
//   group's output channels, columns input channels and taps, and k runs over images and output pixels.
// Either way an element of B is the pixel under a tap for an output pixel: `tapPlace` says where a tap lies and `pixelPlace`
// where the window does, and the pixel is where the two together point. Pixels outside b are zero.
const KERNEL_Y = 3u;
const KERNEL_X = 3u;
const SPREAD_Y = 1u;
const SPREAD_X = 1u;
const ADJOINT = 0u;
const GRADIENT = 0u;
const TAPS = KERNEL_Y * KERNEL_X;

struct Params {
  count: u32, batch: u32, pieces: u32, m: u32, n: u32, k: u32, chunk: u32, block: u32, tilesM: u32, tilesN: u32,
  aWhole: u32, aPiece: u32, aRow: u32, aOuter: u32, bWhole: u32, bPiece: u32,
  height: u32, width: u32, pixels: u32, outWidth: u32, image: u32, top: i32, left: i32,
  strideY: u32, strideX: u32, dilationY: u32, dilationX: u32, scale: f32,
  biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> summand: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// The first element of a plane, and a row and a column in it.
alias Place = vec3i;

fn tapPlace(q: u32) -> Place {
  let tap = q % TAPS;
  return vec3i(vec3u(q / TAPS * p.height * p.width, tap / KERNEL_X * p.dilationY, tap % KERNEL_X * p.dilationX));
}
fn pixelPlace(q: u32) -> Place {
  let pixel = q % p.pixels;
  let place = vec3u(q / p.pixels * p.image, pixel / p.outWidth * p.strideY, pixel % p.outWidth * p.strideX);
  return vec3i(place) - vec3i(0, p.top, p.left);
}

fn aLine(batch: u32, i: u32) -> u32 { return batch / p.pieces * p.aWhole + batch % p.pieces * p.aPiece + i * p.aRow; }
fn aPlace(k: u32) -> u32 {
  if (GRADIENT == 1u) { return k / p.pixels * p.aOuter + k % p.pixels; }
  return k / TAPS * p.aOuter + select(k % TAPS, TAPS - 1u - k % TAPS, ADJOINT == 1u);
}
fn aAt(line: u32, k: u32) -> f32 { return a[line + k]; }

fn bLine(batch: u32, j: u32) -> Place {
  let start = vec3i(i32(batch / p.pieces * p.bWhole + batch % p.pieces * p.bPiece), 0, 0);
  if (GRADIENT == 1u) { return start + tapPlace(j); }
  return start + pixelPlace(j);
}
fn bPlace(k: u32) -> Place {
  if (GRADIENT == 1u) { return pixelPlace(k); }
  return tapPlace(k);
}
fn bAt(line: Place, k: Place) -> f32 {
  let at = line + k;
  let pixel = at.yz / vec2i(i32(SPREAD_Y), i32(SPREAD_X));
  let isPixel = all(at.yz >= vec2i(0)) && all(pixel * vec2i(i32(SPREAD_Y), i32(SPREAD_X)) == at.yz);
  let inside = isPixel && all(pixel < vec2i(i32(p.height), i32(p.width)));
  return select(0.0, b[at.x + pixel.x * i32(p.width) + pixel.y], inside);
}
