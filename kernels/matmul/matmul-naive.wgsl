// Batched matrix product by the definition: y[b, i, j] = sum over k of a[b, i, k] * b[b, k, j], with any strides, so
// that either factor may be transposed or shared by the whole batch (batch stride 0); bias[i] is added where `biased`
// is 1, bias[j] where it is 2; then see epilogue.wgsl. A long k goes in parts and blocks, as in matmul-tiled.wgsl.
// Threads: one an element of y [batch, M, N]; reads a row of a and a column of b.
struct Params {
  count: u32, batch: u32, m: u32, n: u32, k: u32, chunk: u32, block: u32,
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
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let j = t % p.n;
  let i = t / p.n % p.m;
  let plane = t / (p.n * p.m);
  let batch = plane % p.batch;
  let first = plane / p.batch * p.chunk;
  let last = min(first + p.chunk, p.k);
  var ia = batch * p.aBatch + i * p.aRow + first * p.aColumn;
  var ib = batch * p.bBatch + j * p.bColumn + first * p.bRow;
  var total = 0.0;
  for (var block = first; block < last; block += p.block) {
    var sum = 0.0;
    for (var k = block; k < min(block + p.block, last); k++) {
      sum = fma(a[ia], b[ib], sum);
      ia += p.aColumn;
      ib += p.bRow;
    }
    total += sum;
  }
  if (p.biased != 0u) { total += bias[select(i, j, p.biased == 2u)]; }
  y[t] = finished(vec4f(total), t).x;
}
