// Adjoint of convolution in its weights, any geometry, straight from the definition:
// dw[o, c', ky, kx] = sum over n, oy, ox of x[n, c, oy*s - pad + ky*d, ox*s - pad + kx*d] * dy[n, o, oy, ox].
// x [N, C, H, W], dy [N, O, OH, OW], dw [O, C/groups, KH, KW].
// In parts [parts, O, C/groups, KH, KW], of `chunk` of the N * OH rows each, which add up.
// Threads: one an element of a part; each reads its rows of a plane of x and of dy.
struct Params {
  count: u32, results: u32, chunk: u32, batch: u32, inChannels: u32, height: u32, width: u32, outChannels: u32, outHeight: u32, outWidth: u32,
  kernelY: u32, kernelX: u32, strideY: i32, strideX: i32, top: i32, left: i32, dilationY: i32, dilationX: i32,
  groups: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let groupIn = p.inChannels / p.groups;
  let r = t % p.results;
  let kx = i32(r % p.kernelX);
  let ky = i32(r / p.kernelX % p.kernelY);
  let o = r / (p.kernelX * p.kernelY * groupIn);
  let c = o / (p.outChannels / p.groups) * groupIn + r / (p.kernelX * p.kernelY) % groupIn;
  let first = t / p.results * p.chunk;
  var sum = 0.0;
  for (var line = first; line < min(first + p.chunk, p.batch * p.outHeight); line++) {
    let n = line / p.outHeight;
    let oy = line % p.outHeight;
    let iy = i32(oy) * p.strideY - p.top + ky * p.dilationY;
    let plane = (n * p.inChannels + c) * p.height * p.width;
    var at = ((n * p.outChannels + o) * p.outHeight + oy) * p.outWidth;
    // A row's own sum keeps the running sum's rounding error small.
    var row = 0.0;
    for (var ox = 0; ox < i32(p.outWidth); ox++) {
      let ix = ox * p.strideX - p.left + kx * p.dilationX;
      if (iy >= 0 && iy < i32(p.height) && ix >= 0 && ix < i32(p.width)) {
        row = fma(x[plane + u32(iy) * p.width + u32(ix)], dy[at], row);
      }
      at++;
    }
    sum += row;
  }
  dw[t] = sum;
}
