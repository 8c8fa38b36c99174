// Layer normalisation (Ba 2016): x [rows, n] -> y = (x - mean) / sqrt(variance + epsilon) * weight + bias with the mean and
// the biased variance of each row; weight and bias [n].
// Threads: one a row; three passes over it (the later ones from cache): mean, variance, result. All are taken of what is
// left beside the row's first element, so that a large number that a whole row shares costs no digits.
struct Params { rows: u32, n: u32, epsilon: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.rows) { return; }
  let start = t * p.n;
  let first = x[start];
  var sum = 0.0;
  for (var i = 0u; i < p.n; i++) { sum += x[start + i] - first; }
  let mean = sum / f32(p.n);
  var squares = 0.0;
  for (var i = 0u; i < p.n; i++) {
    let deviation = x[start + i] - first - mean;
    squares = fma(deviation, deviation, squares);
  }
  let scale = 1.0 / sqrt(squares / f32(p.n) + p.epsilon);
  for (var i = 0u; i < p.n; i++) { y[start + i] = fma((x[start + i] - first - mean) * scale, weight[i], bias[i]); }
}
