//! Texts that occur once. Not secrets: nothing may be guarded by one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

/// 32 hexadecimal digits that no other call gives, in this process or another one of this machine.
#[must_use]
pub(crate) fn nonce() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let seed = format!("{:?} {} {call}", SystemTime::now(), std::process::id());
    hex::encode(&Sha256::digest(seed)[..16])
}
