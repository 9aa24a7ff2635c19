//! Names: from rust-hdl's spelling to Verilog's, and the words of hand-written text.

use std::collections::HashSet;

/// Words that cannot name anything, from Verilog-2005 and those of SystemVerilog that tools read as such.
const KEYWORDS: &[&str] = &[
    "alias",
    "always",
    "and",
    "assert",
    "assign",
    "assume",
    "automatic",
    "begin",
    "bind",
    "bit",
    "break",
    "buf",
    "byte",
    "case",
    "casex",
    "casez",
    "cell",
    "checker",
    "class",
    "clocking",
    "config",
    "const",
    "context",
    "continue",
    "cover",
    "cross",
    "deassign",
    "default",
    "defparam",
    "design",
    "disable",
    "dist",
    "do",
    "edge",
    "else",
    "end",
    "endcase",
    "endmodule",
    "enum",
    "event",
    "expect",
    "export",
    "extends",
    "extern",
    "final",
    "first_match",
    "for",
    "force",
    "foreach",
    "forever",
    "fork",
    "function",
    "generate",
    "genvar",
    "global",
    "if",
    "iff",
    "implements",
    "import",
    "include",
    "initial",
    "inout",
    "input",
    "inside",
    "instance",
    "int",
    "integer",
    "interface",
    "intersect",
    "join",
    "large",
    "let",
    "liblist",
    "library",
    "local",
    "localparam",
    "logic",
    "longint",
    "macromodule",
    "matches",
    "medium",
    "modport",
    "module",
    "nand",
    "negedge",
    "new",
    "nor",
    "not",
    "null",
    "or",
    "output",
    "package",
    "packed",
    "parameter",
    "posedge",
    "primitive",
    "priority",
    "program",
    "property",
    "protected",
    "pull0",
    "pull1",
    "pure",
    "rand",
    "randc",
    "real",
    "realtime",
    "ref",
    "reg",
    "reject_on",
    "release",
    "repeat",
    "restrict",
    "return",
    "scalared",
    "sequence",
    "shortint",
    "signed",
    "small",
    "soft",
    "solve",
    "specify",
    "static",
    "string",
    "strong",
    "struct",
    "super",
    "supply0",
    "supply1",
    "sync_accept_on",
    "table",
    "tagged",
    "task",
    "this",
    "throughout",
    "time",
    "tran",
    "tri",
    "tri0",
    "tri1",
    "type",
    "typedef",
    "union",
    "unique",
    "unsigned",
    "until",
    "untyped",
    "use",
    "var",
    "vectored",
    "virtual",
    "void",
    "wait",
    "wand",
    "weak",
    "while",
    "wildcard",
    "wire",
    "with",
    "within",
    "wor",
    "xnor",
    "xor",
];

pub(super) fn is_keyword(name: &str) -> bool {
    KEYWORDS.binary_search(&name).is_ok()
}

/// `bus$data`, `pe$3` and `State::Idle` as plain lower-case words.
pub(super) fn plain(raw: &str) -> String {
    raw.replace("::", "_").replace(['$', '.'], "_").to_lowercase()
}

/// An instance's name less its index: `pe$3` is a `pe`.
pub(super) fn without_index(raw: &str) -> String {
    plain(raw.trim_end_matches(|c: char| c.is_ascii_digit() || c == '$'))
}

/// The identifiers of Verilog text, less strings and numbers; a leading `.` or `$` stays with its word.
pub(super) fn words(text: &str) -> HashSet<&str> {
    let mut found = HashSet::new();
    let bytes = text.as_bytes();
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b == b'\'';
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'"' {
            at += 1;
            while at < bytes.len() && bytes[at] != b'"' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at += 1;
        } else if word(bytes[at]) || bytes[at] == b'.' {
            let start = at;
            at += 1;
            while at < bytes.len() && word(bytes[at]) {
                at += 1;
            }
            if !bytes[start].is_ascii_digit() && bytes[start] != b'\'' {
                found.insert(&text[start..at]);
            }
        } else {
            at += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_for_the_search() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn words_skip_strings_numbers_and_keep_pins_apart() {
        let mut found: Vec<_> = words("fifo #(.IMAGE({IMAGE, \"pe3_\"}), .D(8'hff)) x").into_iter().collect();
        found.sort();
        assert_eq!(found, [".D", ".IMAGE", "IMAGE", "fifo", "x"]);
    }
}
