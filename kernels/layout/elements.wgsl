// What a thread of strided.wgsl copies: one element.
alias Copied = u32;
alias Numbers = f32;
