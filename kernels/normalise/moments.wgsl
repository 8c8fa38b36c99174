// Mean and biased variance of every plane: x [planes, inner] -> y [planes, 2].
// Threads: one a plane; each reads its plane twice (the second time from cache), writes two numbers. Deviations are
// taken from the plane's own mean, so nothing cancels; sums are those of blocks; and squares are divided before they are
// added, so that no sum of them overflows.
const BLOCK = 256u;

struct Params { count: u32, inner: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let plane = threadIndex(g);
  if (plane >= p.count) { return; }
  let start = plane * p.inner;
  let end = start + p.inner;
  let share = 1.0 / f32(p.inner);
  var mean = 0.0;
  for (var block = start; block < end; block += BLOCK) {
    var sum = 0.0;
    for (var i = block; i < min(block + BLOCK, end); i++) { sum += x[i]; }
    mean += sum;
  }
  mean *= share;
  var variance = 0.0;
  for (var block = start; block < end; block += BLOCK) {
    var squares = 0.0;
    for (var i = block; i < min(block + BLOCK, end); i++) {
      let deviation = x[i] - mean;
      squares = fma(deviation, deviation * share, squares);
    }
    variance += squares;
  }
  y[2u * plane] = mean;
  y[2u * plane + 1u] = variance;
}
