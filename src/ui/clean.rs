//! Makes texts of engines, nodes, registries and files harmless for a terminal.

use std::fmt::Write;

/// Returns a text in which characters that control a terminal, or the direction of writing, are written as `\u001b`,
/// which JSON reads as the same character. Ends of lines and tabs stay.
#[must_use]
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for sign in text.replace("\r\n", "\n").chars() {
        if is_harmless(sign) {
            clean.push(sign);
        } else {
            // Writing to a String does not fail.
            let _ = write!(clean, "\\u{:04x}", u32::from(sign));
        }
    }
    clean
}

/// The second list is that of <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>, with the
/// separators of lines and paragraphs.
fn is_harmless(sign: char) -> bool {
    match sign {
        '\n' | '\t' => true,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            false
        }
        _ => !sign.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_shown_instead() {
        for (text, shown) in [
            ("a\u{1b}[31mb\u{7}", "a\\u001b[31mb\\u0007"),
            ("\u{9b}2J\u{7f}", "\\u009b2J\\u007f"),
            ("a\r\nb\rc\n\td", "a\nb\\u000dc\n\td"),
            ("\u{202e}gpj.exe", "\\u202egpj.exe"),
            ("ä … ✓ 日本", "ä … ✓ 日本"),
        ] {
            assert_eq!(clean(text), shown);
        }
    }

    #[test]
    fn json_means_the_same_before_and_after() {
        let text = "\u{1b}[31m\u{9b}\u{7f}\u{202e}\u{2028}\n\"\\";
        let json = serde_json::to_string(text).unwrap();
        let read: String = serde_json::from_str(&clean(&json)).unwrap();
        assert_eq!(read, text);
    }
}
