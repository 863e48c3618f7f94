//! Asks whether a registry is what the engine reaches at `localhost:port`. Not a step: pushes call it first.

use anyhow::{Context, Result};

use crate::docker::NetworkMode;
use crate::layout::Layout;
use crate::observe::identity;
use crate::pki::inspect;
use crate::problem::Problem;
use crate::registry::Managed;
use crate::spec::Spec;
use crate::step::Ctx;
use crate::steps::host::Script;

/// The name of the script that asks who answers at a URL. Its arguments are the URL and the hash of the registry's
/// public key.
pub const ASK_PORT: &str = "kindreg-ask-port";
/// Any HTTP status is an answer. The key identifies the registry; whether its certificate is valid is for nodes to say.
const ASK_PORT_SCRIPT: &str = r#"curl -sS -k --noproxy '*' --pinnedpubkey "sha256//$2" --max-time 10 -o /dev/null "$1" 2>/tmp/said && exit 0
head -n 1 /tmp/said; exit 1"#;

/// Fails unless the engine reaches this registry at the domain that it pushes to. The key of the certificate identifies
/// the registry.
///
/// Most engines verify no certificate on loopback. A push would hand the password to any program that listens there
/// while the registry is stopped, or on another address of `localhost`:
/// <https://docs.docker.com/reference/cli/dockerd/#insecure-registries>.
///
/// # Errors
/// Another program answers, or none does; the registry has no certificate; the engine refuses; the run is stopped.
pub(crate) async fn is_at_its_port(ctx: &Ctx, spec: &Spec, registry: &Managed) -> Result<()> {
    let wanted = registry.registry();
    let identity = identity(&*ctx.docker, &spec.cluster, wanted).await?;
    let identity = identity.context("the registry has no certificate yet")?;
    let pin = inspect(&identity.leaf_pem)?.key_pin;
    let url = format!(
        "https://{}{}",
        registry.local_domain(),
        registry.ready_path()
    );
    let script = Script {
        doing: "connecting to the registry's port",
        container: Layout::of(&spec.cluster).port_check(&wanted.name),
        mount: None,
        network: NetworkMode::Host,
        text: ASK_PORT_SCRIPT,
        arguments: &[ASK_PORT, &url, &pin],
        files: Vec::new(),
    };
    script.run(ctx, spec).await.with_context(|| {
        Problem::not_ready(
            format!(
                "{} on the engine's host is not registry {}",
                registry.local_domain(),
                wanted.name
            ),
            format!(
                "run: kindreg up --name {}; or see what uses the port: ss -ltnp 'sport = :{}'",
                spec.cluster, wanted.port
            ),
        )
    })
}
