// What the adapter's memory can carry: x [4 VECTORS threads] copied to y. A thread reads and writes VECTORS vec4, each
// next to its neighbours' of the same turn.

const VECTORS = 16u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = 0u; i < VECTORS; i++) {
    let at = i * groups.x * 64u + id.x;
    y[at] = x[at];
  }
}
