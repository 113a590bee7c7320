# lib.bash owns what up and down share: where the cache is, and the hashes under
# which programs and state are kept in it. It is sourced and needs bash and coreutils only.

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}

# Pods listen on addresses such as 127.1.0.2, and processes are recognised by /proc.
[[ $(uname -s) == Linux ]] || fail "the test cluster needs Linux"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/cbctl
mkdir -p "$cache/bin" "$cache/state"
cache=$(cd "$cache" && pwd -P)

prometheus_version=v0.316.0
prometheus_module=github.com/prometheus/prometheus
prometheus_tags=remove_all_sd,enable_kubernetes_sd
# Modules, and the files in them that hold custom resource definitions.
definition_files=(
  "sigs.k8s.io/gateway-api config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"
  "istio.io/api kubernetes/customresourcedefinitions.gen.yaml"
  "github.com/traefik/traefik/v3 docs/content/reference/dynamic-configuration/traefik.io_traefikservices.yaml"
)
build_flags=(-trimpath -buildvcs=false)
strip="-s -w"

# kubernetes_version prints the version that go.mod requires, which the programs then report.
kubernetes_version() {
  local line
  while read -r line; do
    if [[ $line == "k8s.io/kubernetes v"* ]]; then
      printf '%s\n' "${line#* }"
      return
    fi
  done <"$here/go.mod"
  fail "go.mod requires no k8s.io/kubernetes"
}

# short_hash hashes its arguments and, of the files named on its input, what is in them.
short_hash() {
  local sum
  sum=$({
    printf '%s\n' "$(uname -sm)" "$@"
    while read -r file; do (cd "$here" && sha256sum "$file"); done
  } | sha256sum)
  printf '%s\n' "${sum:0:16}"
}

# sources prints the Go files of a folder that are built; tests are not.
sources() {
  local file LC_ALL=C
  for file in "$here/$1"*.go; do
    [[ $file == *_test.go ]] || printf '%s\n' "${file#"$here/"}"
  done
}

# Every program has a hash of its own, so that an edit rebuilds only what it concerns.
cluster_hash=$({ printf '%s\n' {,definitions/}go.{mod,sum} && sources ""; } |
  short_hash "${build_flags[@]}" "$strip" "${definition_files[@]}")
kubectl_hash=$({ printf 'go.mod\ngo.sum\n' && sources kubectl/; } | short_hash "${build_flags[@]}" "$strip")
prometheus_hash=$(short_hash "$prometheus_version" "$prometheus_tags" "${build_flags[@]}" "$strip" </dev/null)
content_hash=$(short_hash "$cluster_hash" "$kubectl_hash" "$prometheus_hash" </dev/null)

cluster_folder=$cache/bin/cluster-$cluster_hash
kubectl_folder=$cache/bin/kubectl-$kubectl_hash
prometheus_folder=$cache/bin/prometheus-$prometheus_hash
state=$cache/state/$content_hash
