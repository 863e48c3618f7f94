//! Tests that only need a cluster with a registry: they share one, see `support/shared.rs`. Their names sort so that
//! they run one after the other, and the last of them ends the cluster.

use crate::support::company::Company;
use crate::support::{Shared, attempt, docker};
use housekeeping::{Committed, is_known_without_record};

mod bearer;
mod change;
mod company;
mod drift;
mod full;
mod housekeeping;
mod links;
mod own_certificate;
mod restarts;
mod rotation;
mod trust;

/// After all tests below, as the names go; `tests/e2e/run` always asks for it.
#[test]
#[ignore = "needs a Docker engine and kind: make e2e"]
fn zz_the_cluster_is_removed_and_the_machine_is_as_it_was_before_all() {
    Shared::end(|scene| {
        // With a registry of somebody else's, of which nothing may be left either.
        let company = Company::start("e2e-company", 5731, &[]);
        let file = company.file(
            "[cluster]\nworkers = 2\n[registry.registry]\n",
            "auth = false\n",
        );
        scene
            .up(&["--config", file.to_str().unwrap(), "--yes"])
            .run()
            .exits(0)
            .prints(&company.domain());
        // Its images are those of the bed, and its load brings them back.
        let load = std::env::var("KINDREG_E2E_LOAD").expect("KINDREG_E2E_LOAD is set");
        docker(&["system", "prune", "-af", "--volumes"]);
        is_known_without_record(scene);
        attempt("sh", &["-c", &load]).good();
        let theirs = Committed::create(scene);
        scene
            .down()
            .run()
            .exits(0)
            .prints(&format!("Removed: cluster {}", scene.cluster));
        theirs.is_untouched();
    });
}
