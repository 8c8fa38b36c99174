// Depthwise convolution and, with ADJOINT = 1, its adjoint in the input: y [N, O, OH, OW] from x [N, C, H, W] and
// w [O, KERNEL_Y, KERNEL_X], where output channel o reads input channel o / `multiplier` alone. The adjoint turns the
// kernel by 180 degrees; SPREAD_Y, SPREAD_X - 1 zeros are thought between the pixels of x (the adjoint of a stride).
// Where `biased`, bias[o] is added; where `clamped`, the result is then brought into [low, high].
// Threads: one a tile of 4 x 4 output pixels of one channel. Each reads its ROWS x COLUMNS pixels and its kernel once:
// for 3x3, 36 elements and 9 weights for 144 multiply-adds. A padded copy, as for other convolutions, would cost more.
const KERNEL_Y = 3u;
const KERNEL_X = 3u;
const STRIDE_Y = 1u;
const STRIDE_X = 1u;
const DILATION_Y = 1u;
const DILATION_X = 1u;
const SPREAD_Y = 1u;
const SPREAD_X = 1u;
const ADJOINT = 0u;
const ROWS = 6u; // 3 * STRIDE_Y + (KERNEL_Y - 1) * DILATION_Y + 1
const COLUMNS = 6u; // 3 * STRIDE_X + (KERNEL_X - 1) * DILATION_X + 1

struct Params {
  count: u32, tilesX: u32, tilesY: u32, channels: u32, multiplier: u32, height: i32, width: i32,
  outHeight: u32, outWidth: u32, top: i32, left: i32, biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 4194240u;
  if (t >= p.count) { return; }
  let x0 = t % p.tilesX * 4u;
  let y0 = t / p.tilesX % p.tilesY * 4u;
  let plane = t / (p.tilesX * p.tilesY);
  let o = plane % p.channels;
  let base = i32(plane / p.multiplier) * p.height * p.width;
  let wat = o * KERNEL_Y * KERNEL_X;
  let left = i32(x0 * STRIDE_X) - p.left;

  var sums: array<f32, 16>;
  for (var i = 0u; i < ROWS; i++) { // unroll
    let v = i32(y0 * STRIDE_Y + i) - p.top;
    let iy = v / i32(SPREAD_Y);
    let inside = v >= 0 && iy < p.height && iy * i32(SPREAD_Y) == v;
    var row: array<f32, COLUMNS>;
    for (var j = 0u; j < COLUMNS; j++) { // unroll
      let h = left + i32(j);
      let ix = h / i32(SPREAD_X);
      row[j] = select(0.0, x[base + iy * p.width + ix], inside && h >= 0 && ix < p.width && ix * i32(SPREAD_X) == h);
    }
    for (var ky = 0u; ky < KERNEL_Y; ky++) { // unroll
      let oy = (i - ky * DILATION_Y) / STRIDE_Y;
      if (oy * STRIDE_Y + ky * DILATION_Y == i && oy < 4u) {
        for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
          let tap = ky * KERNEL_X + kx;
          let weight = w[wat + select(tap, KERNEL_Y * KERNEL_X - 1u - tap, ADJOINT == 1u)];
          for (var ox = 0u; ox < 4u; ox++) { // unroll
            sums[oy * 4u + ox] = fma(weight, row[ox * STRIDE_X + kx * DILATION_X], sums[oy * 4u + ox]);
          }
        }
      }
    }
  }

  let shift = select(0.0, bias[o], p.biased == 1u);
  for (var oy = y0; oy < min(y0 + 4u, p.outHeight); oy++) {
    for (var ox = 0u; ox < 4u; ox++) { // unroll
      let sum = sums[ox] + shift;
      if (x0 + ox < p.outWidth) {
        y[(plane * p.outHeight + oy) * p.outWidth + x0 + ox] =
          select(sum, clamp(sum, p.low, p.high), p.clamped == 1u);
      }
    }
    for (var q = 0u; q < 12u; q++) { // unroll
      sums[q] = sums[q + 4u];
    }
  }
}
