# build.bash owns the building of what is missing. It is sourced by up, after lib.bash.
# A build happens in a temporary folder, under a lock, and appears by one rename, so
# that what exists in the cache is complete.

# need_go fails with words where the compiler would fail with riddles.
need_go() {
  local wanted have line
  while read -r line; do
    [[ $line == "go "* ]] && wanted=${line#go } && break
  done <"$here/go.mod"
  command -v go >/dev/null ||
    fail "Go is missing: the test cluster is built from source once, with Go $wanted or newer"
  # In this folder an older Go may fetch the one that go.mod asks for, if it is allowed to.
  have=$(cd "$here" && go env GOVERSION) || fail "Go does not run; it must be $wanted or newer"
  have=${have#go}
  older "$have" "$wanted" && fail "Go $have is too old: the test cluster needs Go $wanted or newer"
  return 0
}

# older A B tells whether version A is before version B.
older() {
  local -a a b
  local i
  IFS=. read -ra a <<<"${1%%[!0-9.]*}"
  IFS=. read -ra b <<<"$2"
  for i in 0 1 2; do
    ((10#${a[i]:-0} < 10#${b[i]:-0})) && return 0
    ((10#${a[i]:-0} > 10#${b[i]:-0})) && return 1
  done
  return 1
}

# build FOLDER WHAT FUNCTION makes the folder, unless it exists, by calling the function
# with a temporary one.
build() {
  local folder=$1 what=$2 function=$3 log
  [[ -d $folder ]] && return
  exec 9>"$cache/build.lock"
  if ! flock --nonblock 9; then
    say "waiting for another build"
    flock 9
  fi
  if [[ ! -d $folder ]]; then
    need_go
    prune
    temporary=$(mktemp -d "$cache/bin/.building.XXXXXX")
    trap 'rm -rf -- "$temporary"' EXIT
    log=$cache/build-${folder##*/}.log
    say "building $what"
    if ! "$function" "$temporary" >"$log" 2>&1 9>&-; then
      say "the end of $log:"
      tail -n 20 "$log" >&2
      fail "the build failed"
    fi
    mv -T -- "$temporary" "$folder"
    trap - EXIT
    say "built in $folder"
  fi
  exec 9>&-
}

build_cluster() {
  compile "$1/testcluster" . && collect_definitions "$1"
}

# collect_definitions puts the custom resource definitions of every cluster beside the
# program, which chooses them out of the modules that definitions/go.mod pins.
collect_definitions() {
  local line folder
  local -a files=()
  cd "$here/definitions" || return
  GOWORK=off GOFLAGS='' go mod download "${definition_files[@]%% *}" || return
  for line in "${definition_files[@]}"; do
    folder=$(GOWORK=off GOFLAGS='' go list -m -f '{{.Dir}}' "${line%% *}") || return
    files+=("$folder/${line#* }")
  done
  "$1/testcluster" definitions "${files[@]}" >"$1/definitions.json"
}

build_kubectl() {
  compile "$1/kubectl" ./kubectl
}

compile() {
  local version stamp=k8s.io/component-base/version
  version=$(kubernetes_version)
  IFS=. read -r _ minor _ <<<"$version"
  cd "$here"
  CGO_ENABLED=0 GOWORK=off GOFLAGS='' nice go build "${build_flags[@]}" -o "$1" \
    -ldflags "$strip -X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor" "$2"
}

build_prometheus() {
  cd "$1"
  GOBIN=$1 CGO_ENABLED=0 GOWORK=off GOFLAGS='' nice go install "${build_flags[@]}" -ldflags "$strip" \
    -tags "$prometheus_tags" "$prometheus_module"/cmd/{prometheus,promtool}@"$prometheus_version"
}

# prune removes programs that were built more than thirty days ago and are not the present ones.
prune() {
  local folder
  for folder in "$cache"/bin/*; do
    case $folder in "$cluster_folder" | "$kubectl_folder" | "$prometheus_folder") continue ;; esac
    [[ -d $folder ]] || continue
    (($(date +%s) - $(stat -c %Y "$folder") > 30 * 24 * 3600)) && rm -rf -- "$folder"
  done
  return 0
}
