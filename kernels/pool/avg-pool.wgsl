// Average pooling and its adjoint. Forward (ADJOINT = 0): x [planes, H, W] -> y [planes, OH, OW], the sum over a
// window divided by its area; the area counts padding when `countPadding`, but never what lies beyond the padded
// input (windows of ceil_mode). Adjoint (ADJOINT = 1): d [planes, OH, OW] -> y [planes, H, W], each pixel the sum of
// d / area over the windows that cover it.
// Either comes in parts [parts, ...], whose sum it is: the terms of a result, pixels of a window or windows over a pixel,
// lie in rows and columns, and a part has `tile` x `tile` of them, `across` parts side by side.
// Threads: one an element of a part; reads its terms, writes one. Rows are summed first.
const ADJOINT = 0u;

struct Params {
  count: u32, height: i32, width: i32, outHeight: i32, outWidth: i32, kernelY: i32, kernelX: i32,
  strideY: i32, strideX: i32, top: i32, left: i32, bottom: i32, right: i32, countPadding: i32,
  results: u32, across: u32, tile: i32,
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
  let r = i32(t % p.results);
  let part = t / p.results;
  let corner = vec2i(i32(part / p.across), i32(part % p.across)) * p.tile;
  var sum = 0.0;
  if (ADJOINT == 0u) {
    let ox = r % p.outWidth;
    let oy = (r / p.outWidth) % p.outHeight;
    let plane = r / (p.outWidth * p.outHeight) * p.height * p.width;
    let ey = extent(oy, p.strideY, p.kernelY, p.top, p.bottom, p.height);
    let ex = extent(ox, p.strideX, p.kernelX, p.left, p.right, p.width);
    let first = vec2i(ey.x, ex.x) + corner;
    let last = min(first + p.tile, vec2i(ey.y, ex.y));
    for (var i = first.x; i < last.x; i++) {
      var row = 0.0;
      for (var j = first.y; j < last.y; j++) { row += x[plane + i * p.width + j]; }
      sum += row;
    }
    sum /= f32(max(ey.z * ex.z, 1));
  } else {
    let j = r % p.width;
    let i = (r / p.width) % p.height;
    let plane = r / (p.width * p.height) * p.outHeight * p.outWidth;
    let covering = vec2i(
      max((i + p.top - p.kernelY + p.strideY) / p.strideY, 0),
      max((j + p.left - p.kernelX + p.strideX) / p.strideX, 0),
    );
    let end = min(vec2i((i + p.top) / p.strideY, (j + p.left) / p.strideX) + 1, vec2i(p.outHeight, p.outWidth));
    let first = covering + corner;
    let last = min(first + p.tile, end);
    for (var oy = first.x; oy < last.x; oy++) {
      let ey = extent(oy, p.strideY, p.kernelY, p.top, p.bottom, p.height);
      var row = 0.0;
      for (var ox = first.y; ox < last.y; ox++) {
        let ex = extent(ox, p.strideX, p.kernelX, p.left, p.right, p.width);
        row += x[plane + oy * p.outWidth + ox] / f32(max(ey.z * ex.z, 1));
      }
      sum += row;
    }
  }
  y[t] = sum;
}
