// Convolution of a large or dilated kernel, register-tiled: weights, output and threads as in conv2d-direct.wgsl, but x is
// padded by pad-rows.wgsl [N, C, HP, WP/4], so that rows are read by vec4 and without a check of bounds; the kernel's rows
// are a loop of the shader rather than written out, so that 7x7 or 11x11 compile quickly, and may lie apart (dilation);
// and a tile is of 4 * CHANNEL_VECTORS output channels.
// Per input channel and kernel row a thread reads CHANNEL_VECTORS * KERNEL_X weight vectors and 4 rows of ROW_VECTORS
// vec4: for 7x7 and 8 channels, 30 vec4 for 896 multiply-adds.
const CHANNEL_VECTORS = 2u;
const SUMS = 32u; // 16 * CHANNEL_VECTORS
const LATER = 24u; // SUMS - 4 * CHANNEL_VECTORS
const WEIGHTS = 14u; // CHANNEL_VECTORS * KERNEL_X
const KERNEL_X = 7u;
const STRIDE_Y = 2u;
const STRIDE_X = 2u;
const DILATION_X = 1u;
const ROW_VECTORS = 4u; // ceil((3 * STRIDE_X + (KERNEL_X - 1) * DILATION_X + 1) / 4)
const ROW_ELEMENTS = 16u; // 4 * ROW_VECTORS

struct Params {
  tilesX: u32, tilesY: u32, tiles: u32, groups: u32, vectors: u32, groupIn: u32, groupOut: u32,
  paddedHeight: u32, rowVectors: u32, outHeight: u32, outWidth: u32, kernelY: u32, dilationY: u32,
  biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> summand: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  let tile = t % p.tiles;
  let blocks = (p.vectors + CHANNEL_VECTORS - 1u) / CHANNEL_VECTORS;
  let group = t / p.tiles / blocks;
  if (group >= p.groups) { return; }
  let block = t / p.tiles % blocks * CHANNEL_VECTORS;
  let x0 = tile % p.tilesX * 4u;
  let y0 = tile / p.tilesX % p.tilesY * 4u;
  let n = tile / (p.tilesX * p.tilesY);

  var sums: array<vec4f, SUMS>;
  let channel = (n * p.groups + group) * p.groupIn;
  var at = (channel * p.paddedHeight + y0 * STRIDE_Y) * p.rowVectors + x0 * STRIDE_X / 4u;
  // A last block may have vectors beyond its group: what they compute is not written.
  var wat = group * p.vectors + block;
  for (var c = 0u; c < p.groupIn; c++) {
    for (var ky = 0u; ky < p.kernelY; ky++) {
      var weights: array<vec4f, WEIGHTS>;
      for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
        for (var v = 0u; v < CHANNEL_VECTORS; v++) { // unroll
          weights[kx * CHANNEL_VECTORS + v] = w[wat + kx * p.groups * p.vectors + v];
        }
      }
      for (var oy = 0u; oy < 4u; oy++) { // unroll
        var row: array<f32, ROW_ELEMENTS>;
        for (var j = 0u; j < ROW_VECTORS; j++) { // unroll
          let v = x[at + (oy * STRIDE_Y + ky * p.dilationY) * p.rowVectors + j];
          row[4u * j] = v.x;
          row[4u * j + 1u] = v.y;
          row[4u * j + 2u] = v.z;
          row[4u * j + 3u] = v.w;
        }
        for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
          for (var ox = 0u; ox < 4u; ox++) { // unroll
            let pixel = vec4f(row[ox * STRIDE_X + kx * DILATION_X]);
            for (var v = 0u; v < CHANNEL_VECTORS; v++) { // unroll
              let q = (oy * 4u + ox) * CHANNEL_VECTORS + v;
              sums[q] = fma(weights[kx * CHANNEL_VECTORS + v], pixel, sums[q]);
            }
          }
        }
      }
      wat += KERNEL_X * p.groups * p.vectors;
    }
    at += p.paddedHeight * p.rowVectors;
  }

  // A row at a time, the others moving up, and in rolled loops, so that the code for writing is there once a vector of
  // channels: it is long to compile.
  for (var oy = y0; oy < min(y0 + 4u, p.outHeight); oy++) {
    for (var v = 0u; v < CHANNEL_VECTORS; v++) { // unroll
      let first = (block + v) * 4u;
      for (var c = first; c < min(first + 4u, p.groupOut); c++) {
        let o = group * p.groupOut + c;
        let start = ((n * p.groups * p.groupOut + o) * p.outHeight + oy) * p.outWidth;
        let shift = select(0.0, bias[o], p.biased == 1u);
        var line: vec4f;
        for (var ox = 0u; ox < 4u; ox++) { // unroll
          line[ox] = sums[ox * CHANNEL_VECTORS + v][c % 4u] + shift;
        }
        line = finished(line, start + x0);
        for (var ox = x0; ox < min(x0 + 4u, p.outWidth); ox++) { y[start + ox] = line[ox % 4u]; }
      }
    }
    for (var q = 0u; q < LATER; q++) { // unroll
      sums[q] = sums[q + 4u * CHANNEL_VECTORS];
    }
  }
}
