// matmul-naive.wgsl for GPUs and few results, as those of a linear layer for one picture: y [parts, batch, M, N].
// Threads: a workgroup a part of a result's k, through which its threads go side by side; neighbours read neighbours where
// a's columns and b's rows do lie so, and group.wgsl adds up what each found.
struct Params {
  count: u32, batch: u32, m: u32, n: u32, k: u32, chunk: u32,
  aBatch: u32, aRow: u32, aColumn: u32, bBatch: u32, bRow: u32, bColumn: u32,
  biased: u32, clamped: u32, low: f32, high: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> summand: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let t = groupIndex(group);
  if (t >= p.count) { return; }
  let j = t % p.n;
  let i = t / p.n % p.m;
  let plane = t / (p.n * p.m);
  let batch = plane % p.batch;
  let first = plane / p.batch * p.chunk;
  let ofA = batch * p.aBatch + i * p.aRow;
  let ofB = batch * p.bBatch + j * p.bColumn;
  var sum = 0.0;
  for (var k = first + lane; k < min(first + p.chunk, p.k); k += WORKGROUP) {
    sum = fma(a[ofA + k * p.aColumn], b[ofB + k * p.bRow], sum);
  }
  var total = together(SUM, lane, sum);
  if (lane == 0u) {
    if (p.biased != 0u) { total += bias[select(i, j, p.biased == 2u)]; }
    y[t] = finished(vec4f(total), t).x;
  }
}
