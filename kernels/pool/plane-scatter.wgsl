// Adjoint of choosing by the indices of a max pooling: d [planes, OH, OW], indices [planes, OH, OW] ->
// y [planes, H, W], y[p, i] = sum of d[p, o] over the windows o that cover pixel i and chose it.
// Threads: one an input pixel, looking at the few windows that can cover it (no atomics: the order is fixed).
struct Params {
  count: u32, height: u32, width: u32, outHeight: u32, outWidth: u32,
  reachY: i32, reachX: i32, strideY: i32, strideX: i32, top: i32, left: i32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> d: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let pixel = t % (p.height * p.width);
  let plane = t / (p.height * p.width) * p.outHeight * p.outWidth;
  // Window o starts at o * stride - padding and reaches `reach` pixels further, dilation included.
  let row = i32(pixel / p.width) + p.top;
  let column = i32(pixel % p.width) + p.left;
  let lastY = min(row / p.strideY, i32(p.outHeight) - 1);
  let lastX = min(column / p.strideX, i32(p.outWidth) - 1);
  let firstY = max((row - p.reachY + p.strideY) / p.strideY, 0);
  let firstX = max((column - p.reachX + p.strideX) / p.strideX, 0);
  var sum = 0.0;
  for (var oy = firstY; oy <= lastY; oy++) {
    for (var ox = firstX; ox <= lastX; ox++) {
      let o = plane + u32(oy) * p.outWidth + u32(ox);
      if (indices[o] == pixel) { sum += d[o]; }
    }
  }
  y[t] = sum;
}
