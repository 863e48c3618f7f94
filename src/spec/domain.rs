//! Host and port as image references and requests write them. Pure.

use super::{Host, Port};

/// Returns the host of a registry's API. For Docker Hub it differs from the host in image references:
/// <https://github.com/containerd/containerd/blob/main/docs/hosts.md>.
pub(super) fn api_host(host: &Host) -> &str {
    match host.as_str() {
        "docker.io" => "registry-1.docker.io",
        host => host,
    }
}

/// Returns `host:port`, without `:443`: an image reference without a port means 443, and clients look up folders of
/// certs.d by the text of the reference: <https://docs.docker.com/engine/security/certificates/>.
pub(super) fn domain(host: &str, port: Port) -> String {
    if port.number() == 443 {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}
