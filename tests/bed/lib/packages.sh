# shellcheck shell=bash
# The Debian packages that the bed and the end-to-end tests use.

PACKAGES=(docker.io iptables                    # Docker 20.10, the docker program, what both engines need
  gcc libc6-dev libseccomp-dev pkg-config       # runc (cgo) and pause
  mmdebstrap jq python3                         # the images
  procps                                        # pgrep
  curl openssl skopeo pass gnupg                # end-to-end tests
  musl-tools                                    # a static kindreg
  openssh-server qemu-user-static)              # engines behind ssh, programs for arm64

# What the soak alone uses: a compiler for the library's tests on arm64.
SOAK_PACKAGES=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)

packages_missing() {
  local installed package wanted=("${PACKAGES[@]}")
  [[ ! $OLDEST ]] || wanted+=("${SOAK_PACKAGES[@]}")
  installed=" $(dpkg-query -W -f '${db:Status-Status}=${Package} ' "${wanted[@]}" 2>/dev/null || true)"
  for package in "${wanted[@]}"; do
    [[ $installed == *" installed=$package "* ]] || echo "$package"
  done
}

# Installing docker.io would start its daemon on /var/run/docker.sock. policy-rc.d is Debian's way to
# forbid that; one that is there already is put aside and back. `packages` calls `allow_daemons`
# first, so that a run killed in between is mended by the next.
POLICY=/usr/sbin/policy-rc.d
forbid_daemons() {
  [[ ! -e $POLICY ]] || mv "$POLICY" "$POLICY.before-kindreg-bed"
  printf '#!/bin/sh\n# kindreg-bed: no daemon is started while it installs packages\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}
allow_daemons() {
  if [[ -e $POLICY ]] && grep -q kindreg-bed "$POLICY"; then rm "$POLICY"; fi
  if [[ -e $POLICY.before-kindreg-bed ]]; then mv "$POLICY.before-kindreg-bed" "$POLICY"; fi
}

install_packages() {
  trap allow_daemons EXIT
  forbid_daemons
  export DEBIAN_FRONTEND=noninteractive
  dpkg --configure -a   # if an earlier run was interrupted
  apt-get -o DPkg::Lock::Timeout=120 update -qq
  apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends "$@"
}

packages() {
  local missing
  command -v dpkg-query >/dev/null || die "the bed needs Debian: there is no dpkg here"
  allow_daemons
  mapfile -t missing < <(packages_missing)
  ((${#missing[@]} == 0)) || step packages install_packages "${missing[@]}"
}
