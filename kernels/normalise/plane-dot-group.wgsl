// plane-dot.wgsl for GPUs: a [count, inner], b [planes, inner] -> y [parts, count].
// Threads: a workgroup a part of a plane, through which its threads go side by side; group.wgsl adds up what each found.
struct Params { groups: u32, count: u32, inner: u32, planes: u32, chunk: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let t = groupIndex(group);
  if (t >= p.groups) { return; }
  let plane = t % p.count;
  let first = t / p.count * p.chunk;
  let ofA = plane * p.inner;
  let ofB = plane % p.planes * p.inner;
  var sum = 0.0;
  for (var i = first + lane; i < min(first + p.chunk, p.inner); i += WORKGROUP) { sum = fma(a[ofA + i], b[ofB + i], sum); }
  let total = together(SUM, lane, sum);
  if (lane == 0u) { y[t] = total; }
}
