//! The cluster that the tests below `tests/e2e/shared` share: three nodes, a registry, a password.
//!
//! The first test makes it. Each later one gets it after a `kindreg up` that takes back the settings of those before.
//! One that fails has it removed, and the next makes another. The last test of the run removes it, and the machine
//! then is as it was before the first.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex;
use std::time::Instant;

use super::scene::{Kubeconfig, Scene, scratch};
use super::world::kubectl;

/// The cluster's name.
pub(crate) const SHARED: &str = "e2e-shared";

const PORT: u16 = 5900;

/// The default settings. A file has to say them: what nobody says stays as the last `up` set it.
const DEFAULTS: &str = r#"
[cluster]
workers = 2
host_trust = true
[registry.registry]
host = "registry.test"
port = 5900
auth = true
"#;

/// It, while no test has it.
static KEPT: Mutex<Option<Scene>> = Mutex::new(None);

/// The shared cluster, in the hands of one test.
#[derive(Debug)]
pub(crate) struct Shared(
    /// Nothing once it is given back.
    Option<Scene>,
);

impl Shared {
    /// The cluster as `up` makes it by default: made, or taken over from the test before.
    ///
    /// Ask for it first: what a test has made before it may count as what was there before all.
    #[track_caller]
    pub(crate) fn cluster() -> Self {
        let begun = Instant::now();
        let kept = KEPT.lock().unwrap().take();
        let what = kept.as_ref().map_or("made", |_| "reset");
        let scene = kept.map_or_else(
            || Scene::new(SHARED, PORT, Kubeconfig::Other),
            Scene::taken_over,
        );
        let shared = Self(Some(scene));
        shared.is_reset();
        println!("   {what} ({:.1} s)", begun.elapsed().as_secs_f64());
        shared
    }

    /// Ends it: `last` removes it, and the machine then is as it was. If no test of this run made one there is nothing to
    /// do.
    #[track_caller]
    pub(crate) fn end(last: impl FnOnce(&Scene)) {
        let Some(scene) = KEPT.lock().unwrap().take() else {
            println!("   no test of this run shared a cluster");
            return;
        };
        let scene = scene.taken_over();
        last(&scene);
        scene.is_as_before();
    }

    /// `up` with the default settings, whatever was asked for before, ends Ready.
    #[track_caller]
    pub(crate) fn is_reset(&self) {
        let folder = scratch();
        let file = folder.path().join("kindreg.toml");
        fs::write(&file, DEFAULTS).unwrap();
        let file = file.to_str().unwrap();
        self.up(&["--config", file]).run().exits(0);
        self.has_nodes(3);
        self.call(&["status", "--name", SHARED])
            .run()
            .exits(0)
            .prints("is ready");
    }

    /// What a test leaves in the user's home and in the cluster, and `up` does not look at.
    #[track_caller]
    fn is_cleaned(scene: &Scene) {
        scene.call(&["logout", "--name", SHARED]).run().exits(0);
        let settings = scene.home().join(".docker");
        if settings.exists() {
            fs::remove_dir_all(settings).unwrap();
        }
        // All at once: kubectl itself would delete hundreds of events one by one.
        for all in ["pods?gracePeriodSeconds=0", "events"] {
            let path = format!("--raw=/api/v1/namespaces/default/{all}");
            kubectl(SHARED, &["delete", &path]);
        }
    }
}

impl Deref for Shared {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut Scene {
        self.0.as_mut().unwrap()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Of a test that failed nobody knows what it left: dropped, the scene removes it all.
        if !std::thread::panicking() {
            Self::is_cleaned(self);
            self.port = PORT;
            *KEPT.lock().unwrap() = self.0.take();
        }
    }
}
