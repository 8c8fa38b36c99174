// place.wgsl where runs, rows and the offset are whole vec4: the same with n, total and offset in vec4 of `run`,
// y[outer, offset + i] = x[outer, i].
// Threads: a workgroup covers 256 consecutive vec4; each thread copies 4 at a stride of 64.
const PER_THREAD = 4u;

struct Params { count: u32, run: u32, total: u32, offset: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4u>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = groupIndex(group) * WORKGROUP * PER_THREAD + lane;
  for (var k = 0u; k < PER_THREAD; k++) {
    let i = first + k * WORKGROUP;
    if (i < p.count) { y[i / p.run * p.total + p.offset + i % p.run] = x[i]; }
  }
}
