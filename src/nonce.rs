//! Text that occurs once. Not a secret: nothing may be guarded by one.

/// Returns 32 random hexadecimal digits.
///
/// # Errors
/// The system has no random numbers to give.
pub(crate) fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nonces_differ_and_are_32_hexadecimal_digits() {
        let [one, other] = [nonce().unwrap(), nonce().unwrap()];
        assert_ne!(one, other);
        assert!(one.len() == 32 && one.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
}
