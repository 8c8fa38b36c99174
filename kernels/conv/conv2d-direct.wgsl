// Convolution of a small kernel, register-tiled: y [N, O, OH, OW] from x padded by pad-rows.wgsl [N, C, HP, WP/4] and
// weights packed by pack-weights.wgsl [C, KERNEL_Y * KERNEL_X, O/4]. No groups, no dilation.
// Threads: one a tile of 4 output channels x 4 x 4 output pixels, in a flat index (tiles fastest, then channels), so
// that small maps still fill the device. Per input channel a thread reads its KERNEL_Y * KERNEL_X weight vectors and
// ROWS rows of ROW_VECTORS vec4 once each and keeps 64 sums in registers: for 3x3, 21 vec4 for 576 multiply-adds.
const KERNEL_Y = 3u;
const KERNEL_X = 3u;
const STRIDE_Y = 1u;
const STRIDE_X = 1u;
const TAPS = 9u; // KERNEL_Y * KERNEL_X
const ROWS = 6u; // 3 * STRIDE_Y + KERNEL_Y
const ROW_VECTORS = 2u; // ceil((3 * STRIDE_X + KERNEL_X) / 4)
const ROW_ELEMENTS = 8u; // 4 * ROW_VECTORS

struct Params {
  tilesX: u32, tilesY: u32, tiles: u32, channelVectors: u32, inChannels: u32, paddedHeight: u32, rowVectors: u32,
  outChannels: u32, outHeight: u32, outWidth: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = g.x + g.y * 4194240u;
  let tile = t % p.tiles;
  let o4 = t / p.tiles;
  if (o4 >= p.channelVectors) { return; }
  let x0 = tile % p.tilesX * 4u;
  let y0 = tile / p.tilesX % p.tilesY * 4u;
  let n = tile / (p.tilesX * p.tilesY);

  var sums: array<vec4f, 16>;
  var at = (n * p.inChannels * p.paddedHeight + y0 * STRIDE_Y) * p.rowVectors + x0 * STRIDE_X / 4u;
  var wat = o4;
  for (var c = 0u; c < p.inChannels; c++) {
    var weights: array<vec4f, TAPS>;
    for (var k = 0u; k < TAPS; k++) { // unroll
      weights[k] = w[wat + k * p.channelVectors];
    }
    for (var i = 0u; i < ROWS; i++) { // unroll
      var row: array<f32, ROW_ELEMENTS>;
      for (var j = 0u; j < ROW_VECTORS; j++) { // unroll
        let v = x[at + i * p.rowVectors + j];
        row[4u * j] = v.x;
        row[4u * j + 1u] = v.y;
        row[4u * j + 2u] = v.z;
        row[4u * j + 3u] = v.w;
      }
      for (var ky = 0u; ky < KERNEL_Y; ky++) { // unroll
        let oy = (i - ky) / STRIDE_Y;
        if (oy * STRIDE_Y + ky == i && oy < 4u) {
          for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
            for (var ox = 0u; ox < 4u; ox++) { // unroll
              sums[oy * 4u + ox] = fma(weights[ky * KERNEL_X + kx], vec4f(row[ox * STRIDE_X + kx]), sums[oy * 4u + ox]);
            }
          }
        }
      }
    }
    at += p.paddedHeight * p.rowVectors;
    wat += TAPS * p.channelVectors;
  }

  for (var k = 0u; k < 4u; k++) { // unroll
    let o = o4 * 4u + k;
    if (o < p.outChannels) {
      for (var oy = 0u; oy < 4u; oy++) { // unroll
        let start = ((n * p.outChannels + o) * p.outHeight + y0 + oy) * p.outWidth + x0;
        for (var ox = 0u; ox < 4u; ox++) { // unroll
          if (y0 + oy < p.outHeight && x0 + ox < p.outWidth) { y[start + ox] = sums[oy * 4u + ox][k]; }
        }
      }
    }
  }
}
