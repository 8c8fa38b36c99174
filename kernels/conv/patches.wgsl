// The input pixels under each tap of a convolution's kernel: x [N, C, H, W] -> y [N, C * KH * KW, vectors] of vec4 over
// output pixels, which are counted over rows and columns; zeros where a tap falls outside x and after the last pixel.
// The convolution is then a matrix product of the weights with y. No dilation, no groups.
// Threads: one four output pixels, a channel and a row of the kernel; per tap it reads four elements, writes one vec4.
struct Params {
  count: u32, vectors: u32, channels: u32, height: i32, width: i32, outWidth: u32, pixels: u32, kernelY: u32,
  kernelX: u32, strideY: u32, strideX: u32, top: i32, left: i32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let vector = t % p.vectors;
  let row = t / p.vectors; // (image, channel, row of the kernel)
  let plane = row / p.kernelY;
  let ky = row % p.kernelY;
  // The first tap of each of the four pixels, and whether its row is one of x.
  var columns: vec4i;
  var starts: vec4i;
  var inside: vec4<bool>;
  for (var k = 0u; k < 4u; k++) { // unroll
    let pixel = vector * 4u + k;
    let iy = i32(pixel / p.outWidth * p.strideY + ky) - p.top;
    columns[k] = i32(pixel % p.outWidth * p.strideX) - p.left;
    starts[k] = (i32(plane) * p.height + iy) * p.width;
    inside[k] = pixel < p.pixels && iy >= 0 && iy < p.height;
  }
  for (var kx = 0u; kx < p.kernelX; kx++) {
    var v = vec4f(0.0);
    for (var k = 0u; k < 4u; k++) { // unroll
      if (inside[k] && columns[k] >= 0 && columns[k] < p.width) { v[k] = x[starts[k] + columns[k]]; }
    }
    y[(row * p.kernelX + kx) * p.vectors + vector] = v;
    columns += 1;
  }
}
