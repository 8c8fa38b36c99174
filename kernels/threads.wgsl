// Where a thread stands in a launch of one dimension. WebGPU starts at most GROUPS_PER_ROW workgroups along x, so a longer
// launch goes on in further rows along y (`workgroupsOf` in kernel.ts). The last row may have threads beyond the end of the
// work: each kernel checks its index. The engine chooses WORKGROUP, the threads of a workgroup.
const WORKGROUP = 64u;
const GROUPS_PER_ROW = 65535u;

// The index of a workgroup, from @builtin(workgroup_id).
fn groupIndex(group: vec3u) -> u32 { return group.x + group.y * GROUPS_PER_ROW; }

// The index of a thread, from @builtin(global_invocation_id).
fn threadIndex(thread: vec3u) -> u32 { return thread.x + thread.y * GROUPS_PER_ROW * WORKGROUP; }
