// Convolution of a large kernel, register-tiled: the same inputs, output and threads as conv2d-direct.wgsl, but the
// kernel's rows are a loop of the shader rather than written out, so that 7x7 or 11x11 compile quickly.
// Per input channel and kernel row a thread reads KERNEL_X weight vectors and 4 rows of ROW_VECTORS vec4.
const KERNEL_X = 7u;
const STRIDE_Y = 2u;
const STRIDE_X = 2u;
const ROW_VECTORS = 4u; // ceil((3 * STRIDE_X + KERNEL_X) / 4)
const ROW_ELEMENTS = 16u; // 4 * ROW_VECTORS

struct Params {
  tilesX: u32, tilesY: u32, tiles: u32, channelVectors: u32, inChannels: u32, paddedHeight: u32, rowVectors: u32,
  outChannels: u32, outHeight: u32, outWidth: u32, kernelY: u32,
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
    for (var ky = 0u; ky < p.kernelY; ky++) {
      var weights: array<vec4f, KERNEL_X>;
      for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
        weights[kx] = w[wat + kx * p.channelVectors];
      }
      for (var oy = 0u; oy < 4u; oy++) { // unroll
        var row: array<f32, ROW_ELEMENTS>;
        for (var j = 0u; j < ROW_VECTORS; j++) { // unroll
          let v = x[at + (oy * STRIDE_Y + ky) * p.rowVectors + j];
          row[4u * j] = v.x;
          row[4u * j + 1u] = v.y;
          row[4u * j + 2u] = v.z;
          row[4u * j + 3u] = v.w;
        }
        for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
          for (var ox = 0u; ox < 4u; ox++) { // unroll
            sums[oy * 4u + ox] = fma(weights[kx], vec4f(row[ox * STRIDE_X + kx]), sums[oy * 4u + ox]);
          }
        }
      }
      wat += KERNEL_X * p.channelVectors;
    }
    at += p.paddedHeight * p.rowVectors;
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
