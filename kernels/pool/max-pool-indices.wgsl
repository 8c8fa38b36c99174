// Which input pixel each window of a max pooling chooses: x [planes, H, W] -> indices [parts, planes, OH, OW], an index
// into the plane (y * W + x), the first of equals, or the first NaN. Padding never wins: windows only look inside the
// input, in which every window has a pixel. Windows come in parts as in avg-pool.wgsl, among which best.wgsl chooses; a part
// without a pixel says NONE.
// Threads: one a part of an output pixel; reads its part of the window, writes one index.
const NONE = 4294967295u;

struct Params {
  count: u32, height: u32, width: u32, outHeight: u32, outWidth: u32,
  kernelY: u32, kernelX: u32, strideY: i32, strideX: i32, top: i32, left: i32, dilationY: i32, dilationX: i32,
  results: u32, across: u32, tile: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> indices: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let r = t % p.results;
  let part = t / p.results;
  let first = vec2u(part / p.across, part % p.across) * p.tile;
  let last = min(first + p.tile, vec2u(p.kernelY, p.kernelX));
  let ox = i32(r % p.outWidth);
  let oy = i32((r / p.outWidth) % p.outHeight);
  let plane = r / (p.outWidth * p.outHeight) * p.height * p.width;
  var best = 0.0;
  var index = NONE;
  for (var ky = first.x; ky < last.x; ky++) {
    let y = oy * p.strideY - p.top + i32(ky) * p.dilationY;
    if (y < 0 || y >= i32(p.height)) { continue; }
    for (var kx = first.y; kx < last.y; kx++) {
      let xx = ox * p.strideX - p.left + i32(kx) * p.dilationX;
      if (xx < 0 || xx >= i32(p.width)) { continue; }
      let at = u32(y) * p.width + u32(xx);
      let value = x[plane + at];
      if (index == NONE || (!isNan(best) && (value > best || isNan(value)))) {
        best = value;
        index = at;
      }
    }
  }
  indices[t] = index;
}
