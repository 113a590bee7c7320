mod judge; mod phase_file; mod rollout; fn main() {}
