// Adjoint of convolution in its input (transposed convolution), any geometry, straight from the definition:
// dx[n, c, iy, ix] = sum over o, ky, kx of dy[n, o, oy, ox] * w[o, c', ky, kx] over the taps with
// oy*s - pad + ky*d = iy and ox*s - pad + kx*d = ix. dy [N, O, OH, OW], w [O, C/groups, KH, KW], dx [N, C, H, W].
// Where there are many outputs dx comes in parts [parts, N, C, H, W] of `chunk` of a group's output channels each, which add
// up.
// Threads: one an element of dx; each reads the outputs it fed and their weights.
struct Params {
  count: u32, results: u32, chunk: u32, batch: u32, inChannels: u32, height: u32, width: u32, outChannels: u32, outHeight: u32, outWidth: u32,
  kernelY: u32, kernelX: u32, strideY: i32, strideX: i32, top: i32, left: i32, dilationY: i32, dilationX: i32,
  groups: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let ix = i32(t % p.width);
  let iy = i32(t / p.width % p.height);
  let c = t / (p.width * p.height) % p.inChannels;
  let n = t % p.results / (p.width * p.height * p.inChannels);
  let groupIn = p.inChannels / p.groups;
  let groupOut = p.outChannels / p.groups;
  let first = t / p.results * p.chunk;
  let last = min(first + p.chunk, groupOut);
  let firstOut = c / groupIn * groupOut + first;
  var sum = 0.0;
  for (var ky = 0u; ky < p.kernelY; ky++) {
    let sy = iy + p.top - i32(ky) * p.dilationY;
    if (sy < 0 || sy % p.strideY != 0 || sy / p.strideY >= i32(p.outHeight)) { continue; }
    for (var kx = 0u; kx < p.kernelX; kx++) {
      let sx = ix + p.left - i32(kx) * p.dilationX;
      if (sx < 0 || sx % p.strideX != 0 || sx / p.strideX >= i32(p.outWidth)) { continue; }
      var at = ((n * p.outChannels + firstOut) * p.outHeight + u32(sy / p.strideY)) * p.outWidth + u32(sx / p.strideX);
      var wat = ((firstOut * groupIn + c % groupIn) * p.kernelY + ky) * p.kernelX + kx;
      var tap = 0.0;
      for (var o = first; o < last; o++) {
        tap = fma(dy[at], w[wat], tap);
        at += p.outHeight * p.outWidth;
        wat += groupIn * p.kernelY * p.kernelX;
      }
      sum += tap;
    }
  }
  dx[t] = sum;
}
