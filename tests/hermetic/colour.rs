//! Colour on stderr, as <https://no-color.org> and <https://bixense.com/clicolors> say.

use crate::cli::{Answer, kindreg};

/// A run that fails, and so prints an error and a hint.
fn failing(arguments: &[&str], variables: &[(&str, &str)]) -> Answer {
    let run = kindreg(arguments);
    let run = variables
        .iter()
        .fold(run, |run, (name, value)| run.env(name, value));
    let answer = run.run();
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains("hint"), "{answer:?}");
    answer
}

const ESCAPE: char = '\u{1b}';

#[test]
fn a_pipe_gets_no_colour() {
    let plain = failing(&["up"], &[]).stderr;
    assert!(!plain.contains(ESCAPE), "{plain:?}");
    assert!(plain.starts_with("error: "), "{plain}");
}

#[test]
fn clicolor_force_colours_a_pipe() {
    let forced = failing(&["up"], &[("CLICOLOR_FORCE", "1")]).stderr;
    assert!(
        forced.starts_with("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m "),
        "{forced:?}"
    );
    assert!(
        forced.contains("\u{1b}[1m\u{1b}[36mhint:\u{1b}[0m "),
        "{forced:?}"
    );
    let off = failing(&["up"], &[("CLICOLOR_FORCE", "")]).stderr;
    assert!(!off.contains(ESCAPE), "{off:?}");
}

#[test]
fn no_color_wins_over_clicolor_force_and_an_empty_one_does_not_count() {
    let force = ("CLICOLOR_FORCE", "1");
    let none = failing(&["up"], &[force, ("NO_COLOR", "1")]).stderr;
    assert!(!none.contains(ESCAPE), "{none:?}");
    let empty = failing(&["up"], &[force, ("NO_COLOR", "")]).stderr;
    assert!(empty.contains(ESCAPE), "{empty:?}");
}

#[test]
fn events_for_programs_and_results_are_never_coloured() {
    let force = ("CLICOLOR_FORCE", "1");
    let json = failing(&["up", "--events", "json"], &[force]).stderr;
    assert!(!json.contains(ESCAPE), "{json:?}");
    let result = kindreg(&["render"]).env(force.0, force.1).run();
    assert_eq!(result.code, 0, "{result:?}");
    assert!(!result.stdout.contains(ESCAPE), "{result:?}");
}
