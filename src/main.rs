mod judge; mod rollout; fn main() {}
