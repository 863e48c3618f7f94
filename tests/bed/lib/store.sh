# shellcheck shell=bash
# What is built, and when it is built again.
#
# Each artefact is a folder $BED/store/NAME-KEY. KEY is the hash of all that goes into it: its recipe
# (make_NAME), the Go version, and the inputs named in `build_all`. It is made under another name and
# renamed when complete, so what is there is whole. $BED/current/NAME points at those of the last
# complete build; only then is what has an old key removed.

declare -A KEY=()   # NAME → key, of the artefacts seen in this run

at() { echo "$BED/store/$1-${KEY[$1]}"; }

# key NAME INPUT...: an INPUT is a word, @FILE-OR-FOLDER of tests/bed, or +NAME of another artefact.
key() {
  local name=$1 input
  shift
  {
    echo "$GO_VERSION"
    declare -f "make_$name" go_install go_build kubernetes containerd2
    for input; do
      case $input in
        @*) (cd "$HERE" && find "${input#@}" -type f -print0 | sort -z | xargs -0 sha256sum) ;;
        +*) echo "${KEY[${input#+}]}" ;;
        *) echo "$input" ;;
      esac
    done
  } | sha256sum | cut -c1-16
}

# artefact NAME INPUT...: makes it unless it is there.
made=0
artefact() {
  local name=$1
  KEY[$name]=$(key "$@")
  [[ ! -d $(at "$name") ]] || return 0
  mkdir "$BED/tmp/$name" "$BED/tmp/$name.scratch"
  step "$name" make "$name"
  mv -T "$BED/tmp/$name" "$(at "$name")"
  rm -rf --one-file-system "$BED/tmp/$name.scratch"
  made=$((made + 1))
}

# oldest NAME INPUT...: an artefact of the oldest versions, made if `build oldest` is asked for; kept while its key holds.
OLDEST=
oldest() {
  if [[ $OLDEST ]]; then artefact "$@"; else KEY[$1]=$(key "$@"); fi
}

# A recipe gets two empty folders: $1 is what is kept, $2 is for its own use. It runs in the second.
make() {
  cd "$BED/tmp/$1.scratch" || exit
  "make_$1" "$BED/tmp/$1" "$BED/tmp/$1.scratch"
}

clear_tmp() { find "$BED/tmp" -mindepth 1 -xdev -delete; }

# publish: $BED/current gets the artefacts of this run, all at once, and the old ones go.
publish() {
  local next=$BED/tmp/current name old
  mkdir "$next"
  for name in "${!KEY[@]}"; do
    [[ ! -d $(at "$name") ]] || ln -s "$(at "$name")" "$next/$name"
  done
  if ! diff -rq --no-dereference "$next" "$BED/current" >/dev/null 2>&1; then
    rm -rf "$BED/current"
    mv -T "$next" "$BED/current"
  fi
  for old in "$BED"/store/*; do
    name=${old##*/} name=${name%-*}
    [[ ${KEY[$name]:-} && $old == "$(at "$name")" ]] || rm -rf --one-file-system "$old"
  done
}

# bed_build [oldest]
bed_build() {
  local start
  OLDEST=${1:-}
  start=$(now)
  clear_tmp
  trap clear_tmp EXIT
  packages
  command -v go >/dev/null || die "the bed is built with Go, and there is no 'go' on PATH (1.25 or newer)"
  GO_VERSION=$(go env GOVERSION)
  build_all
  publish
  say "the bed is built: $made parts made, $(elapsed "$start")"
}
