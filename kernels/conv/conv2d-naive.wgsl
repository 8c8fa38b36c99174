// Convolution, any geometry, straight from the definition:
// y[n, o, oy, ox] = sum over c, ky, kx of x[n, c, oy*s - pad + ky*d, ox*s - pad + kx*d] * w[o, c', ky, kx],
// x [N, C, H, W], w [O, C/groups, KH, KW], y [N, O, OH, OW]; c runs over the channels of o's group. Where `biased`,
// bias[o] is added; then see epilogue.wgsl. Where there are many channels y comes in parts [parts, N, O, OH, OW] of `chunk`
// channels of a group each, which add-parts.wgsl adds up.
// Threads: one an output element; each reads its whole window and kernel. The reference among the variants, and
// the one for what the fast ones leave out.
struct Params {
  count: u32, results: u32, chunk: u32, batch: u32, inChannels: u32, height: u32, width: u32, outChannels: u32, outHeight: u32, outWidth: u32,
  kernelY: u32, kernelX: u32, strideY: i32, strideX: i32, top: i32, left: i32, dilationY: i32, dilationX: i32,
  groups: u32, biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> summand: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let ox = i32(t % p.outWidth);
  let oy = i32(t / p.outWidth % p.outHeight);
  let o = t / (p.outWidth * p.outHeight) % p.outChannels;
  let n = t % p.results / (p.outWidth * p.outHeight * p.outChannels);
  let groupIn = p.inChannels / p.groups;
  let first = t / p.results * p.chunk;
  let last = min(first + p.chunk, groupIn);
  let firstIn = o / (p.outChannels / p.groups) * groupIn;
  var sum = 0.0;
  for (var ky = 0u; ky < p.kernelY; ky++) {
    let iy = oy * p.strideY - p.top + i32(ky) * p.dilationY;
    if (iy < 0 || iy >= i32(p.height)) { continue; }
    for (var kx = 0u; kx < p.kernelX; kx++) {
      let ix = ox * p.strideX - p.left + i32(kx) * p.dilationX;
      if (ix < 0 || ix >= i32(p.width)) { continue; }
      var at = ((n * p.inChannels + firstIn + first) * p.height + u32(iy)) * p.width + u32(ix);
      var wat = ((o * groupIn + first) * p.kernelY + ky) * p.kernelX + kx;
      var tap = 0.0;
      for (var c = first; c < last; c++) {
        tap = fma(x[at], w[wat], tap);
        at += p.height * p.width;
        wat += p.kernelY * p.kernelX;
      }
      sum += tap;
    }
  }
  if (p.biased == 1u) { sum += bias[o]; }
  y[t] = finished(vec4f(sum), t).x;
}
