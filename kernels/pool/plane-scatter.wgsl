// Adjoint of choosing by the indices of a max pooling: d [planes, OH, OW], indices [planes, OH, OW] ->
// y [planes, H, W], y[p, i] = sum of d[p, o] over the windows o that cover pixel i and chose it; in parts [parts, planes,
// H, W] as in avg-pool.wgsl.
// Threads: one a part of an input pixel, looking at windows that can cover it (no atomics: the order is fixed).
struct Params {
  count: u32, height: u32, width: u32, outHeight: u32, outWidth: u32,
  reachY: i32, reachX: i32, strideY: i32, strideX: i32, top: i32, left: i32,
  results: u32, across: u32, tile: i32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> d: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let r = t % p.results;
  let part = t / p.results;
  let pixel = r % (p.height * p.width);
  let plane = r / (p.height * p.width) * p.outHeight * p.outWidth;
  // Window o starts at o * stride - padding and reaches `reach` pixels further, dilation included.
  let at = vec2i(i32(pixel / p.width) + p.top, i32(pixel % p.width) + p.left);
  let stride = vec2i(p.strideY, p.strideX);
  let end = min(at / stride + 1, vec2i(i32(p.outHeight), i32(p.outWidth)));
  let covering = max((at - vec2i(p.reachY, p.reachX) + stride) / stride, vec2i(0));
  let first = covering + vec2i(i32(part / p.across), i32(part % p.across)) * p.tile;
  let last = min(first + p.tile, end);
  var sum = 0.0;
  for (var oy = first.x; oy < last.x; oy++) {
    var row = 0.0;
    for (var ox = first.y; ox < last.y; ox++) {
      let o = plane + u32(oy) * p.outWidth + u32(ox);
      if (indices[o] == pixel) { row += d[o]; }
    }
    sum += row;
  }
  y[t] = sum;
}
