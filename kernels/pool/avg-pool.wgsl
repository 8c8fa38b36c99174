// Average pooling and its adjoint. Forward (ADJOINT = 0): x [planes, H, W] -> y [planes, OH, OW], the sum over a
// window divided by its area; the area counts padding when `countPadding`, but never what lies beyond the padded
// input (windows of ceil_mode). Adjoint (ADJOINT = 1): d [planes, OH, OW] -> y [planes, H, W], each pixel the sum of
// d / area over the windows that cover it.
// Threads: one an output element of either; reads its window (or the windows that cover it), writes one.
const ADJOINT = 0u;

struct Params {
  count: u32, height: i32, width: i32, outHeight: i32, outWidth: i32, kernelY: i32, kernelX: i32,
  strideY: i32, strideX: i32, top: i32, left: i32, bottom: i32, right: i32, countPadding: i32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// First and one-past-last pixel of a window along one axis, inside the input, and the divisor's share.
fn extent(o: i32, stride: i32, kernel: i32, before: i32, after: i32, size: i32) -> vec3i {
  let start = o * stride - before;
  let end = min(start + kernel, size + after);
  let first = max(start, 0);
  let last = min(end, size);
  return vec3i(first, last, select(last - first, end - start, p.countPadding == 1));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  if (ADJOINT == 0u) {
    let ox = i32(t) % p.outWidth;
    let oy = (i32(t) / p.outWidth) % p.outHeight;
    let plane = i32(t) / (p.outWidth * p.outHeight) * p.height * p.width;
    let ey = extent(oy, p.strideY, p.kernelY, p.top, p.bottom, p.height);
    let ex = extent(ox, p.strideX, p.kernelX, p.left, p.right, p.width);
    var sum = 0.0;
    for (var i = ey.x; i < ey.y; i++) {
      for (var j = ex.x; j < ex.y; j++) { sum += x[plane + i * p.width + j]; }
    }
    y[t] = sum / f32(max(ey.z * ex.z, 1));
  } else {
    let j = i32(t) % p.width;
    let i = (i32(t) / p.width) % p.height;
    let plane = i32(t) / (p.width * p.height) * p.outHeight * p.outWidth;
    let lastY = min((i + p.top) / p.strideY, p.outHeight - 1);
    let lastX = min((j + p.left) / p.strideX, p.outWidth - 1);
    let firstY = max((i + p.top - p.kernelY + p.strideY) / p.strideY, 0);
    let firstX = max((j + p.left - p.kernelX + p.strideX) / p.strideX, 0);
    var sum = 0.0;
    for (var oy = firstY; oy <= lastY; oy++) {
      let ey = extent(oy, p.strideY, p.kernelY, p.top, p.bottom, p.height);
      for (var ox = firstX; ox <= lastX; ox++) {
        let ex = extent(ox, p.strideX, p.kernelX, p.left, p.right, p.width);
        sum += x[plane + oy * p.outWidth + ox] / f32(max(ey.z * ex.z, 1));
      }
    }
    y[t] = sum;
  }
}
