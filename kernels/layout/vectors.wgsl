// What a thread of strided.wgsl copies where the innermost dimension is a run of whole vec4: four neighbours. Sizes and
// offsets of that dimension, and strides of the others, are then in vec4.
alias Copied = vec4u;
alias Numbers = vec4f;
