# shellcheck shell=bash
# What every part uses: messages, one line a step, the lock.

say() { printf '%s\n' "$*" >&2; }
die() { say "bed: $*"; exit 1; }

# elapsed SINCE: the time since SINCE (from `now`), as seconds with one decimal.
now() { echo "${EPOCHREALTIME/[.,]/}"; }
elapsed() {
  local tenths=$((($(now) - $1) / 100000))
  echo "$((tenths / 10)).$((tenths % 10)) s"
}

# The things without which nothing here can work, said before anything is begun.
preflight() {
  [[ $(uname -sm) == "Linux x86_64" ]] || die "the bed is made for Linux on x86-64, this is $(uname -sm)"
  ((EUID == 0)) || die "the bed runs a Docker engine of its own: it must be root"
  # containerd's socket lies below exec-root, and a socket's path has room for 107 characters.
  ((${#BED} <= 70)) || die "the path $BED is too long for a socket in it: set KINDREG_BED to a shorter one"
  mkdir -p "$BED"/{store,log,run,data,tmp}
}

# One bed at a time. The steps' processes inherit the lock, so that what an interrupted build leaves
# behind still holds it; the engine, which stays, does not.
lock() {
  exec 9>"$BED/lock"
  flock -n 9 && return
  say "another tests/bed/bed is at work in $BED: waiting for it"
  flock -w 3600 9 || die "it has had the lock for an hour; see: fuser -v $BED/lock"
}

# step NAME COMMAND...: runs it with its output in a log; one line with the time it took.
# In a process group of its own, so that an interrupted bed ends all of it. Never call it in a
# condition (`if`, `||`): bash would go on after errors inside it.
running=
step() {
  local name=$1 log=$BED/log/${1// /-}.log status=0 start
  start=$(now)
  shift
  printf '%-20s' "$name" >&2
  set -m
  ("$@") >"$log" 2>&1 </dev/null &
  running=$!
  set +m
  wait "$running" || status=$?
  running=
  say "$(elapsed "$start")"
  ((status == 0)) && return
  say "-- $name failed ($status); the end of $log:"
  tail -n 20 "$log" >&2
  exit 1
}

interrupted() {
  local try
  trap '' INT TERM HUP
  say "interrupted"
  if [[ $running ]]; then
    kill -TERM -- "-$running" 2>/dev/null || true
    # All of the group, not just its leader: mmdebstrap takes its time to clean up.
    for ((try = 0; try < 100; try++)); do
      kill -0 -- "-$running" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "-$running" 2>/dev/null || true
  fi
  exit 130
}
trap interrupted INT TERM HUP
