// Sum of the parts in which a product or a convolution was made, and what follows it: x [parts, count] -> y [count], a
// result of [.., rows, columns]. bias[i] is added to row i where `biased` is 1, bias[j] to column j where it is 2; then see
// epilogue.wgsl.
// Threads: one an element of y; each reads its parts, writes one number.
struct Params {
  count: u32, parts: u32, rows: u32, columns: u32, biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> summand: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  var sum = 0.0;
  for (var part = 0u; part < p.parts; part++) { sum += x[part * p.count + t]; }
  if (p.biased != 0u) { sum += bias[select(t / p.columns % p.rows, t % p.columns, p.biased == 2u)]; }
  y[t] = finished(vec4f(sum), t).x;
}
