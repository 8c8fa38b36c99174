// Adjoint of patches.wgsl: each pixel's sum over the taps that it lay under. x [N, C * KH * KW, OH * OW] ->
// y [N, C, H, W]. The adjoint of a convolution in its input is this after a matrix product with the weights.
// Threads: one four pixels of a row, strideX apart: the same taps lie over them, for output pixels side by side. It
// reads those alone, about 4 * KH * KW / (strideY * strideX).
struct Params {
  count: u32, vectors: u32, height: u32, width: i32, outHeight: i32, outWidth: i32, kernelY: i32, kernelX: i32,
  strideY: i32, strideX: i32, top: i32, left: i32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn floorDivide(a: i32, b: i32) -> i32 {
  return (a - select(0, b - 1, a < 0)) / b;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let row = t / (p.vectors * u32(p.strideX));
  let place = t % (p.vectors * u32(p.strideX));
  let ix = i32(place % p.vectors * 4u) * p.strideX + i32(place / p.vectors);
  let v = i32(row % p.height) + p.top;
  let plane = i32(row / p.height);
  // Output pixel oy sees row v - oy * strideY of its window; the last one that does comes first.
  var oy = floorDivide(v, p.strideY);
  let last = floorDivide(ix + p.left, p.strideX);

  var sum = vec4f(0.0);
  for (var ky = v - oy * p.strideY; ky < p.kernelY; ky += p.strideY) {
    if (oy >= 0 && oy < p.outHeight) {
      var ox = last;
      for (var kx = ix + p.left - last * p.strideX; kx < p.kernelX; kx += p.strideX) {
        let at = (((plane * p.kernelY + ky) * p.kernelX + kx) * p.outHeight + oy) * p.outWidth + ox;
        for (var k = 0u; k < 4u; k++) { // unroll
          if (ox + i32(k) >= 0 && ox + i32(k) < p.outWidth) { sum[k] += x[at + i32(k)]; }
        }
        ox -= 1;
      }
    }
    oy -= 1;
  }
  let start = i32(row) * p.width + ix;
  for (var k = 0u; k < 4u; k++) { // unroll
    if (ix + i32(k) * p.strideX < p.width) { y[start + i32(k) * p.strideX] = sum[k]; }
  }
}
