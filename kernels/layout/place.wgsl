// Concatenation, one input at a time, or with PAIRED = 1 two: a [outer, na, inner] and behind it b [outer, nb, inner] are
// written into y [outer, total, inner] at `offset` along the middle axis. Without b, nb is 0 and a is bound twice. The uniform
// has elements of runs, na inner and so on. Threads: one an element; reads one, writes one.
const PAIRED = 0u;

struct Params { count: u32, aRun: u32, bRun: u32, row: u32, start: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<u32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) g: vec3u) {
  let t = threadIndex(g);
  if (t >= p.count) { return; }
  let run = p.aRun + p.bRun;
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
