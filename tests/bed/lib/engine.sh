# shellcheck shell=bash
# The engine: start, stop, what it holds. One at a time, on one socket, with a data root each.

# docker ARGUMENT...: Debian's client, bounded, so that an engine that hangs is noticed.
docker() { timeout 300 /usr/bin/docker "$@"; }
server_version() { timeout 5 /usr/bin/docker version --format '{{.Server.Version}}' 2>/dev/null || true; }

# arguments PID: its command line, one argument a line; nothing if there is no such process.
arguments() { tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null || true; }
program() { basename "$(readlink "/proc/$1/exe" | sed 's/ (deleted)$//')" 2>/dev/null || true; }

# pids NAME TEXT: the processes of that program with TEXT in their arguments. All that we start is told
# by a path in the bed, so that a number in a pidfile, by now someone else's, is never trusted.
pids() {
  local pid
  for pid in $(pgrep -x "${1:0:15}" || true); do
    if [[ $(program "$pid") == "$1" && $(arguments "$pid") == *"$2"* ]]; then echo "$pid"; fi
  done
}
engine_pid() { pids dockerd "$BED/run/daemon.json"; }
helpers() { pids "$1" "$BED/run/exec-"; }

# lives PID: a process that ended, but whose parent has not been told, does not.
lives() { [[ $(sed -n 's/^State:\t//p' "/proc/$1/status" 2>/dev/null || true) == [!ZX]* ]]; }

# wait_gone SECONDS PID...: true once none of them lives.
wait_gone() {
  local tries=$(($1 * 10)) pid
  shift
  for ((; tries > 0; tries--)); do
    for pid; do
      lives "$pid" || continue
      sleep 0.1
      continue 2
    done
    return 0
  done
  return 1
}

# end_orphans: what a dockerd that was killed has left: its containers, their shims, its containerd.
end_orphans() {
  local shims child containerd pid
  mapfile -t shims < <(helpers containerd-shim-runc-v2)
  mapfile -t containerd < <(helpers containerd)
  for pid in "${shims[@]}"; do
    # A container ends with its process 1.
    for child in $(cat "/proc/$pid/task/$pid/children" 2>/dev/null || true); do kill -KILL "$child" 2>/dev/null || true; done
  done
  for pid in "${containerd[@]}" "${shims[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait_gone 10 "${containerd[@]}" "${shims[@]}" || die "left of an earlier engine, and can't be ended: ${containerd[*]} ${shims[*]}"
  ((${#containerd[@]} + ${#shims[@]} == 0)) || say "ended what an earlier engine had left: ${#shims[@]} containers"
}

# forget: what an engine has at run time, as if the machine had been started anew. One that was killed
# leaves its mounts, which would stand in the way of `rm -rf`; and pidfiles, which Docker 29 believes for
# as long as nobody has reaped the process ("process with PID ... is still running").
forget() {
  local mounts place
  end_orphans
  mapfile -t mounts < <(awk -v "bed=$BED/" 'index($5, bed) == 1 { print $5 }' /proc/self/mountinfo | tac)
  for place in "${mounts[@]}"; do umount -l "$place"; done
  rm -rf --one-file-system "$BED"/run/*
}

# cgroups: an engine needs the cgroup file systems. systemd mounts them; where nothing did, we do.
cgroups() {
  local name enabled
  mountpoint -q /sys/fs/cgroup && return
  mount -t tmpfs -o mode=755,nosuid,nodev,noexec cgroup /sys/fs/cgroup
  while read -r name _ _ enabled; do
    [[ $name != \#* && $enabled == 1 ]] || continue
    mkdir "/sys/fs/cgroup/$name"
    mount -t cgroup -o "nosuid,nodev,noexec,$name" cgroup "/sys/fs/cgroup/$name" || rmdir "/sys/fs/cgroup/$name"
  done </proc/cgroups
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,nosuid,nodev,noexec,name=systemd cgroup /sys/fs/cgroup/systemd
}

# configuration VERSION: daemon.json. Each engine has its own data, both have one socket.
configuration() {
  jq -n --arg version "$1" --arg bed "$BED" '{
    hosts: ["unix://\($bed)/run/docker.sock"],
    pidfile: "\($bed)/run/docker.pid",
    "exec-root": "\($bed)/run/exec-\($version)",
    "data-root": "\($bed)/data/\($version)",
    runtimes: {compat: {path: "\($bed)/current/runc/runc"}},
    "default-runtime": "compat"
  } + if $version == "20" then {"deprecated-key-path": "\($bed)/data/key.json"} else {} end'
}

# launch VERSION: starts dockerd, and waits until it answers. Returns 1 if it ended.
launch() {
  local dockerd=/usr/sbin/dockerd path=/usr/sbin:/usr/bin:/sbin:/bin pid try
  if [[ $1 == 29 ]]; then
    path=$BED/current/docker:$BED/current/containerd:$BED/current/runc:$path
    dockerd=$BED/current/docker/dockerd
  fi
  # Out of our session, and without our lock or a caller's (such as that of flock(1)): the engine outlives this shell.
  PATH=$path setsid nohup "$dockerd" --config-file "$BED/run/daemon.json" </dev/null >"$BED/log/dockerd.log" 2>&1 \
    3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  pid=$!
  disown
  for ((try = 0; try < 600; try++)); do
    [[ -z $(server_version) ]] || return 0
    lives "$pid" || return 1
    sleep 0.1
  done
  kill "$pid" 2>/dev/null || true
  return 1
}

start_engine() {
  cgroups
  forget
  configuration "$1" >"$BED/run/daemon.json"
  if ! launch "$1" || [[ $(server_version) != "$1".* ]]; then
    say "-- Docker $1 does not start; the end of $BED/log/dockerd.log:"
    tail -n 20 "$BED/log/dockerd.log" >&2
    exit 1
  fi
  sweep
}

# sweep: removes what tests of an earlier, killed run have left: Docker starts its containers again. What
# someone else's container still uses stays, and docker says so.
sweep() {
  local kind=label=io.x-k8s.kind.cluster ours=label=dev.kindreg.cluster try left
  for ((try = 0; try < 5; try++)); do
    mapfile -t left < <({
      docker ps -aq --filter "$kind"
      docker ps -aq --filter "$ours"
      docker ps -aq --filter 'name=^/?kindreg-'
    } | sort -u)
    ((${#left[@]} > 0)) || break
    docker rm -f -v "${left[@]}" >/dev/null || sleep 1
  done
  mapfile -t left < <({
    docker network ls -q --filter "$ours"
    docker network ls -q --filter 'name=^kindreg-'
    docker network ls -q --filter 'name=^kind$'
  } | sort -u)
  ((${#left[@]} == 0)) || docker network rm "${left[@]}" >/dev/null || true
  # Volumes with our mark, and those without a name that no container has any more.
  mapfile -t left < <({
    docker volume ls -q --filter "$ours"
    docker volume ls -q --filter 'name=^kindreg-'
    docker volume ls -q --filter dangling=true | grep -xE '[0-9a-f]{64}' || true
  } | sort -u)
  ((${#left[@]} == 0)) || docker volume rm "${left[@]}" >/dev/null || true
}

built() { [[ -x $BED/current/docker/dockerd ]] || die "nothing is built yet: tests/bed/bed build"; }

bed_engine() {
  local version=$1 now start other
  start=$(now)
  built
  if [[ $(engine_pid) ]]; then
    now=$(server_version)
    [[ $now != "$version".* ]] || { say "Docker $now is running"; return; }
    [[ $now ]] || die "our engine runs, but does not answer: tests/bed/bed stop"
    die "Docker $now is running: tests/bed/bed switch $version"
  fi
  for other in $(pids dockerd ""); do
    say "warning: another Docker engine runs here, pid $other: both use the bridge docker0"
  done
  start_engine "$version"
  say "Docker $(server_version) is running, $(elapsed "$start")"
}

bed_switch() {
  [[ $(server_version) == "$1".* ]] || bed_stop
  bed_engine "$1"
}

# restart: as a machine that reboots: the engine ends with all its containers, and brings back those that
# are to come back. Nothing is removed.
bed_restart() {
  local version pid start
  start=$(now)
  pid=$(engine_pid)
  [[ $pid ]] || die "no engine runs: tests/bed/bed engine 29"
  version=$(server_version)
  kill "$pid"
  wait_gone 40 "$pid" || die "dockerd $pid does not end"
  forget
  configuration "${version%%.*}" >"$BED/run/daemon.json"
  launch "${version%%.*}" || die "Docker does not start again: $BED/log/dockerd.log"
  say "Docker $(server_version) runs again, $(elapsed "$start")"
}

bed_stop() {
  local pid start
  start=$(now)
  pid=$(engine_pid)
  if [[ $pid ]]; then
    # The next start would remove the clusters; to shut them down in good order takes 10 seconds.
    [[ -z $(server_version) ]] || sweep
    kill "$pid"
    # Docker gives its containers 10 seconds to end, and itself 15.
    wait_gone 40 "$pid" || { kill -KILL "$pid"; wait_gone 5 "$pid" || die "dockerd $pid does not end"; }
  fi
  forget
  [[ -z $pid ]] || say "the engine is stopped, $(elapsed "$start")"
}

# load: each archive goes into the engine once. What was loaded is noted with the IDs that its tags had
# then, so that an archive made anew, or a tag that was moved or removed, is loaded again.
# `load load-balancers` and `load kindreg` are for the tests that need them.
bed_load() {
  local version
  [[ $(engine_pid) ]] || die "no engine runs: tests/bed/bed engine 29"
  version=$(server_version)
  version=${version%%.*}
  case ${1:-} in
    load-balancers) load_balancers; return ;;
    kindreg) load_kindreg; return ;;
  esac
  load registry-image "$BED/data/$version.registry-image" "$REGISTRY_IMAGE"
  load node-images "$BED/data/$version.node-images" "$NODE_IMAGE" "$NODE_IMAGE_24"
  [[ ! -e $BED/current/oldest-node-image ]] ||
    load oldest-node-image "$BED/data/$version.oldest-node-image" "$OLDEST_IMAGE"
}

# load ARTEFACT NOTE TAG...
load() {
  local name=$1 note=$2 archive ids old
  shift 2
  archive=$(readlink -f "$BED/current/$name")
  old=$(cat "$note" 2>/dev/null || true)
  [[ $old != "$archive $(image_ids "$@")" ]] || return 0
  step "load $name" docker load -q -i "$archive/images.tar"
  ids=$(image_ids "$@")
  echo "$archive $ids" >"$note"
  for old in ${old#* }; do
    [[ " $ids " == *" $old "* ]] || docker rmi "$old" >/dev/null 2>&1 || true
  done
}

# load_balancers: they are file systems, which the engine makes images of.
load_balancers() {
  local folder=$BED/current/load-balancers note=$BED/data/$version.load-balancers
  local at=/usr/local/etc/haproxy
  local haproxy="ENTRYPOINT [\"haproxy\", \"-W\", \"-db\", \"-f\", \"$at/haproxy.cfg\", \"-f\", \"$at/limits.cfg\"]"
  [[ -e $folder ]] || die "the load balancers are not built: tests/bed/bed build oldest"
  folder=$(readlink -f "$folder")
  [[ $(cat "$note" 2>/dev/null || true) != "$folder $(image_ids "$ENVOY_IMAGE" "$HAPROXY_IMAGE")" ]] || return 0
  step "import envoy" docker import "$folder/envoy.tar" "$ENVOY_IMAGE"
  step "import haproxy" docker import --change "$haproxy" "$folder/haproxy.tar" "$HAPROXY_IMAGE"
  echo "$folder $(image_ids "$ENVOY_IMAGE" "$HAPROXY_IMAGE")" >"$note"
}

# load_kindreg: kindreg of this tree with kind and docker, as the Dockerfile puts them together. Always made anew, as only
# cargo knows whether the program is out of date.
load_kindreg() {
  local root=$BED/tmp/kindreg
  clear_tmp
  trap clear_tmp EXIT
  step "build kindreg" build_static_kindreg
  mkdir -p "$root"/{tmp,usr/local/bin,lib64,lib/x86_64-linux-gnu}
  chmod 1777 "$root/tmp"
  cp "${CARGO_TARGET_DIR:-$TREE/target}/$MUSL/debug/kindreg" "$BED/current/kind/kind" /usr/bin/docker "$root/usr/local/bin/"
  # Debian's docker is not static.
  cp /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
  cp /lib/x86_64-linux-gnu/libc.so.6 "$root/lib/x86_64-linux-gnu/"
  tar -C "$root" -cf "$root.tar" .
  step "import kindreg" docker import --change 'ENTRYPOINT ["kindreg"]' --change 'ENV HOME=/root PATH=/usr/local/bin' \
    "$root.tar" "$KINDREG_TEST_IMAGE"
}

image_ids() { docker image inspect --format '{{.Id}}' "$@" 2>/dev/null | xargs || true; }

bed_env() {
  local now
  built
  if [[ ${1:-} ]]; then
    now=$(server_version)
    [[ $now == "$1".* ]] || die "Docker $1 is asked for, ${now:-none} is running"
  fi
  printf 'unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH DOCKER_API_VERSION\n'
  printf 'export DOCKER_HOST=%q\n' "$DOCKER_HOST"
  # shellcheck disable=SC2016
  printf 'export PATH=%q:"$PATH"\n' "$BED/current/bin"
  printf 'export KINDREG_IMAGE=%q\n' "$NODE_IMAGE"
  printf 'export KINDREG_REGISTRY_IMAGE=%q\n' "$REGISTRY_IMAGE"
  printf 'export KINDREG_BED_IMAGE_24=%q\n' "$NODE_IMAGE_24"
  [[ ! -e $BED/current/oldest-node-image ]] || printf 'export KINDREG_BED_IMAGE_OLDEST=%q\n' "$OLDEST_IMAGE"
  [[ ! -e $BED/current/kinds ]] || printf 'export KINDREG_BED_KINDS=%q\n' "$BED/current/kinds"
  # Not on PATH: docker would take it for its credential store wherever its config is empty.
  printf 'export KINDREG_BED_HELPERS=%q\n' "$BED/current/credential-pass"
}

bed_status() {
  local pid tag artefact
  pid=$(engine_pid)
  echo "bed      $BED"
  echo "engine   ${pid:+Docker $(server_version), pid $pid, $DOCKER_HOST}"
  if [[ $pid ]]; then
    for tag in "$REGISTRY_IMAGE" "$NODE_IMAGE" "$NODE_IMAGE_24" "$OLDEST_IMAGE"; do
      echo "image    $tag $(image_ids "$tag")"
    done
  fi
  for artefact in "$BED"/current/*; do
    [[ ! -e $artefact ]] || echo "built    $(basename "$(readlink "$artefact")")"
  done
  du -sh "$BED"/{store,data,log} 2>/dev/null | awk '{ printf "%-9s%s\n", $1, $2 }'
}
