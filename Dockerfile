# kindreg with kind and the docker program, for a machine or a CI job that has nothing but the engine's socket.
#
#   docker build -t kindreg .
#   docker run --rm -v /var/run/docker.sock:/var/run/docker.sock -v kind-home:/root kindreg up
#
# kindreg and kind are built from source, because cargo and Go verify what they download: Cargo.lock and
# https://sum.golang.org have the checksums. The image has no shell.

FROM rust:1.95-bookworm AS kindreg
RUN apt-get update && apt-get install -y --no-install-recommends musl-tools
WORKDIR /src
COPY . .
RUN target="$(uname -m)-unknown-linux-musl" \
  && rustup target add "$target" \
  && cargo build --locked --profile dist --target "$target" --bin kindreg \
  && install -D "target/$target/dist/kindreg" /image/usr/local/bin/kindreg

FROM golang:1.26-bookworm AS kind
RUN CGO_ENABLED=0 GOBIN=/image/usr/local/bin go install -trimpath -ldflags "-s -w" sigs.k8s.io/kind@v0.33.0
# All three programs make temporary files.
RUN mkdir -m 1777 /image/tmp

FROM scratch
COPY --from=kind /image /
COPY --from=kindreg /image /
COPY --from=docker:29.9.3-cli /usr/local/bin/docker /usr/local/bin/docker
# A volume at /root keeps docker's login and the kubeconfig.
ENV HOME=/root PATH=/usr/local/bin
ENTRYPOINT ["kindreg"]
