// Adjoint of convolution in its weights, register-tiled: partial sums y [parts, O, C, KH, KW] over `chunk` rows each,
// from x padded by pad-rows.wgsl [N, C, HP, WP/4] and dy packed by pack-pixels.wgsl [N, OH, columns, O/4].
// No groups, no dilation. The caller adds up the parts.
// Threads: one for 8 output channels, one input channel, TAP_ROWS rows of the kernel and one part; 2 * TAP_ROWS *
// KERNEL_X vec4 sums in registers. Per 4 output pixels it reads 8 vec4 of dy and TAP_ROWS * ROW_VECTORS of x: for 3x3,
// 14 vec4 for 288 multiply-adds.
const TAP_ROWS = 3u;
const KERNEL_X = 3u;
const STRIDE_Y = 1u;
const STRIDE_X = 1u;
const SUMS = 9u; // TAP_ROWS * KERNEL_X
const ROW_VECTORS = 2u; // ceil((3 * STRIDE_X + KERNEL_X) / 4)
const ROW_ELEMENTS = 8u; // 4 * ROW_VECTORS

struct Params {
  count: u32, outChannels: u32, inChannels: u32, outHeight: u32, columnVectors: u32, channelVectors: u32,
  paddedHeight: u32, rowVectors: u32, kernelY: u32, rows: u32, chunk: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let blocks = (p.channelVectors + 1u) / 2u;
  let tapGroups = p.kernelY / TAP_ROWS;
  let ky0 = t % tapGroups * TAP_ROWS;
  let c = t / tapGroups % p.inChannels;
  let o8 = t / (tapGroups * p.inChannels) % blocks;
  let part = t / (tapGroups * p.inChannels * blocks);
  let second = min(o8 * 2u + 1u, p.channelVectors - 1u);

  var low: array<vec4f, SUMS>;
  var high: array<vec4f, SUMS>;
  let last = min((part + 1u) * p.chunk, p.rows);
  for (var r = part * p.chunk; r < last; r++) {
    let n = r / p.outHeight;
    let oy = r % p.outHeight;
    var at = ((n * p.inChannels + c) * p.paddedHeight + oy * STRIDE_Y + ky0) * p.rowVectors;
    var dat = r * p.columnVectors * 4u * p.channelVectors;
    for (var block = 0u; block < p.columnVectors; block++) {
      var a: array<vec4f, 4>;
      var b: array<vec4f, 4>;
      for (var ox = 0u; ox < 4u; ox++) { // unroll
        a[ox] = dy[dat + ox * p.channelVectors + o8 * 2u];
        b[ox] = dy[dat + ox * p.channelVectors + second];
      }
      for (var ky = 0u; ky < TAP_ROWS; ky++) { // unroll
        var row: array<f32, ROW_ELEMENTS>;
        for (var j = 0u; j < ROW_VECTORS; j++) { // unroll
          let v = x[at + ky * p.rowVectors + j];
          row[4u * j] = v.x;
          row[4u * j + 1u] = v.y;
          row[4u * j + 2u] = v.z;
          row[4u * j + 3u] = v.w;
        }
        for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
          for (var ox = 0u; ox < 4u; ox++) { // unroll
            low[ky * KERNEL_X + kx] = fma(a[ox], vec4f(row[ox * STRIDE_X + kx]), low[ky * KERNEL_X + kx]);
            high[ky * KERNEL_X + kx] = fma(b[ox], vec4f(row[ox * STRIDE_X + kx]), high[ky * KERNEL_X + kx]);
          }
        }
      }
      at += STRIDE_X;
      dat += 4u * p.channelVectors;
    }
  }

  for (var k = 0u; k < 4u; k++) { // unroll
    let o = o8 * 8u + k;
    for (var ky = 0u; ky < TAP_ROWS; ky++) { // unroll
      for (var kx = 0u; kx < KERNEL_X; kx++) { // unroll
        let tap = (ky0 + ky) * KERNEL_X + kx;
        if (o < p.outChannels) {
          y[((part * p.outChannels + o) * p.inChannels + c) * p.kernelY * KERNEL_X + tap] = low[ky * KERNEL_X + kx][k];
        }
        if (o + 4u < p.outChannels) {
          y[((part * p.outChannels + o + 4u) * p.inChannels + c) * p.kernelY * KERNEL_X + tap] =
            high[ky * KERNEL_X + kx][k];
        }
      }
    }
  }
}
