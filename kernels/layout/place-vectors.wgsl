// place.wgsl where runs, rows and the start are whole vec4: the same with all of them in vec4.
// Threads: a workgroup covers 256 consecutive vec4; each thread copies 4 at a stride of 64.
const PAIRED = 0u;
const PER_THREAD = 4u;

struct Params { count: u32, aRun: u32, bRun: u32, row: u32, start: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4u>;
@group(0) @binding(2) var<storage, read> b: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4u>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = groupIndex(group) * WORKGROUP * PER_THREAD + lane;
  let run = p.aRun + p.bRun;
  for (var k = 0u; k < PER_THREAD; k++) {
    let t = first + k * WORKGROUP;
    if (t < p.count) {
      let outer = t / run;
      let i = t % run;
      let at = outer * p.row + p.start + i;
      if (PAIRED == 0u) {
        y[at] = a[t];
      } else if (i < p.aRun) {
        y[at] = a[outer * p.aRun + i];
      } else {
        y[at] = b[outer * p.bRun + i - p.aRun];
      }
    }
  }
}
