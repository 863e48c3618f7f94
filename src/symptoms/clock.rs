//! A certificate that is refused for its time, because a clock is wrong.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// The words before the time at which Go refuses a certificate: <https://go.dev/src/crypto/x509/verify.go> (`Expired`).
/// Our own scripts end their texts with them too.
const CURRENT_TIME: &str = "current time ";

/// The smallest difference that counts: a text may be minutes old.
const TOLERATED: Duration = Duration::HOUR;

/// Returns how wrong the clock is that judged a certificate, compared with this machine's `now`; `None` if the text is
/// not about a certificate's time, or if the clocks agree.
#[must_use]
pub fn wrong_clock(text: &str, now: OffsetDateTime) -> Option<String> {
    if !["has expired", "not yet valid"]
        .iter()
        .any(|words| text.contains(words))
    {
        return None;
    }
    let (_, after) = text.rsplit_once(CURRENT_TIME)?;
    let told = after.split(|sign: char| sign.is_whitespace()).next()?;
    let told = OffsetDateTime::parse(told, &Rfc3339).ok()?;
    let ahead = told - now;
    if ahead.abs() < TOLERATED {
        return None;
    }
    let (much, unit) = match ahead.abs() {
        hours if hours < Duration::DAY * 2 => (hours.whole_hours(), "h"),
        days => (days.whole_days(), "days"),
    };
    let way = if ahead.is_positive() {
        "ahead of"
    } else {
        "behind"
    };
    Some(format!(
        "the clock of the engine's host is {much} {unit} {way} this machine's"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_clock_that_is_hours_off_is_named_and_one_that_agrees_is_not() {
        let now = datetime!(2026-11-27 20:00:00 UTC);
        let go = |time: &str| {
            format!(
                "x509: certificate has expired or is not yet valid: current time {time} is before 2026-11-27T19:00:00Z"
            )
        };
        let behind = "the clock of the engine's host is 5 h behind this machine's";
        assert_eq!(
            wrong_clock(&go("2026-11-27T15:00:00Z"), now).as_deref(),
            Some(behind)
        );
        assert_eq!(
            wrong_clock(&go("2026-11-27T17:00:00+02:00"), now).as_deref(),
            Some(behind)
        );
        let curl = "000curl: (60) SSL certificate problem: certificate is not yet valid\ncurrent time 2026-11-27T15:00:00Z\n";
        assert_eq!(wrong_clock(curl, now).as_deref(), Some(behind));
        let ahead = "the clock of the engine's host is 400 days ahead of this machine's";
        assert_eq!(
            wrong_clock(&go("2028-01-01T20:00:00Z"), now).as_deref(),
            Some(ahead)
        );
        for text in [
            go("2026-11-27T19:30:00Z").as_str(),
            go("nonsense").as_str(),
            "x509: certificate has expired",
            "certificate signed by unknown authority\ncurrent time 2020-01-01T00:00:00Z",
            "",
        ] {
            assert_eq!(wrong_clock(text, now), None, "{text}");
        }
    }
}
