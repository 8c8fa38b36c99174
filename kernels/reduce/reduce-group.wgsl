// reduce.wgsl along the last axis, for GPUs: x [lines, n] -> y [parts, lines].
// Threads: a workgroup a part of a line; neighbours read neighbours, and group.wgsl joins what each found.
const OP = 0u;

struct Params { count: u32, n: u32, lines: u32, chunk: u32, scale: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let t = groupIndex(group);
  if (t >= p.count) { return; }
  let start = t % p.lines * p.n;
  let first = t / p.lines * p.chunk;
  var best = select(0.0, x[start + first], OP == MAX || OP == MIN);
  for (var k = first + lane; k < min(first + p.chunk, p.n); k += WORKGROUP) { best = joined(OP, best, x[start + k]); }
  let all = together(OP, lane, best);
  if (lane == 0u) { y[t] = all * p.scale; }
}
