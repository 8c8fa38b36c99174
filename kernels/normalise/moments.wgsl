// Mean and sum of squared deviations of every plane: x [planes, inner] -> y [planes, 2].
// Threads: one a plane; each reads its plane twice (the second time from cache), writes two numbers. Deviations are
// taken from the plane's own mean, so nothing cancels.
struct Params { count: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let plane = threadIndex(g);
  if (plane >= p.count) { return; }
  let start = plane * p.inner;
  var sum = 0.0;
  for (var i = 0u; i < p.inner; i++) { sum += x[start + i]; }
  let mean = sum / f32(max(1u, p.inner));
  var squares = 0.0;
  for (var i = 0u; i < p.inner; i++) {
    let deviation = x[start + i] - mean;
    squares = fma(deviation, deviation, squares);
  }
  y[2u * plane] = mean;
  y[2u * plane + 1u] = squares;
}
