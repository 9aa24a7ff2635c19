//! Memory contents as text: `.mem` for `$readmemh`, `.coe` for AMD's block memory generator, `.mif` for Intel's.
//!
//! All hold hexadecimal words of the digits that the width takes. A `.mem` file is one word per line and
//! nothing else. Reading accepts what is written here, in either case and with any white space around
//! words, and in `.mif` also `--` comments and `[first..last]` ranges.

use crate::error::{grouped, Error};
use crate::spec::Words;
use std::fmt::Write;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Mem,
    Coe,
    Mif,
}

const COE_RADIX: &str = "memory_initialization_radix=16;";
const COE_VECTOR: &str = "memory_initialization_vector=";

impl Format {
    pub const ALL: [Format; 3] = [Format::Mem, Format::Coe, Format::Mif];

    /// Of file names, without dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Format::Mem => "mem",
            Format::Coe => "coe",
            Format::Mif => "mif",
        }
    }

    /// The format that a file's name stands for.
    pub fn of(path: &Path) -> Option<Format> {
        let suffix = path.extension()?.to_str()?;
        Self::ALL.into_iter().find(|f| f.suffix().eq_ignore_ascii_case(suffix))
    }

    /// The file's text: `depth` words, zeros after those of `words`.
    pub fn render(self, words: &Words, depth: usize) -> String {
        assert!(words.len() <= depth, "a section is not longer than its memory is deep");
        let mut out = match self {
            Format::Mem => String::new(),
            Format::Coe => format!("{COE_RADIX}\n{COE_VECTOR}\n"),
            Format::Mif => {
                let width = words.width();
                format!("WIDTH={width};\nDEPTH={depth};\nADDRESS_RADIX=UNS;\nDATA_RADIX=HEX;\nCONTENT BEGIN\n")
            }
        };
        let zero = "0".repeat(digits(words.width()));
        for index in 0..depth {
            if self == Format::Mif {
                write!(out, "{index} : ").expect("a string takes everything");
            }
            if index < words.len() {
                hex(words, index, &mut out);
            } else {
                out.push_str(&zero);
            }
            out.push_str(match self {
                Format::Mem => "\n",
                Format::Coe if index + 1 == depth => ";\n",
                Format::Coe => ",\n",
                Format::Mif => ";\n",
            });
        }
        if self == Format::Mif {
            out.push_str("END;\n");
        }
        out
    }

    /// Reads such a text; it must hold exactly `depth` words of `width` bits. `path` is for messages.
    pub fn parse(self, text: &str, width: usize, depth: usize, path: &Path) -> Result<Words, Error> {
        let mut reader = Reader { path, words: Words::zeroed(width, depth), filled: vec![false; depth], next: 0 };
        match self {
            Format::Mem => {
                for (line, word) in numbered(text) {
                    reader.push(line, word)?;
                }
            }
            Format::Coe => reader.coe(text)?,
            Format::Mif => reader.mif(text)?,
        }
        reader.finish(text.lines().count())
    }
}

/// Hexadecimal digits of a word.
fn digits(width: usize) -> usize {
    width.div_ceil(4)
}

fn hex(words: &Words, index: usize, out: &mut String) {
    let mut left = digits(words.width());
    for lane in words.word(index).iter().rev() {
        let here = if left.is_multiple_of(8) { 8 } else { left % 8 };
        write!(out, "{lane:0here$x}").expect("a string takes everything");
        left -= here;
    }
}

/// Lines that are not blank, trimmed, counted from 1.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())).filter(|(_, line)| !line.is_empty())
}

struct Reader<'a> {
    path: &'a Path,
    words: Words,
    filled: Vec<bool>,
    next: usize,
}

impl Reader<'_> {
    fn fault<T>(&self, line: usize, found: impl Into<String>, expected: impl Into<String>) -> Result<T, Error> {
        Err(Error::MemoryFile { path: self.path.to_path_buf(), line, found: shortened(&found.into()), expected: expected.into() })
    }

    /// The next word.
    fn push(&mut self, line: usize, word: &str) -> Result<(), Error> {
        let index = self.next;
        self.next += 1;
        self.set(line, index, word)
    }

    fn set(&mut self, line: usize, index: usize, word: &str) -> Result<(), Error> {
        let (width, depth) = (self.words.width(), self.words.len());
        if index >= depth {
            return self.fault(line, format!("word {}", grouped(index + 1)), format!("at most {} words", grouped(depth)));
        }
        let expected = || format!("a word of {width} bits in {} hexadecimal digits", digits(width));
        if word.len() != digits(width) || !word.bytes().all(|b| b.is_ascii_hexdigit()) {
            return self.fault(line, format!("{word:?}"), expected());
        }
        let bytes = word.as_bytes();
        for lane in 0..self.words.lanes_per_word() {
            let end = bytes.len() - 8 * lane;
            let value = bytes[end.saturating_sub(8)..end].iter().fold(0u32, |v, b| v << 4 | (*b as char).to_digit(16).unwrap_or(0));
            self.words.set_lane(index, lane, value);
            // bits above the width are dropped by set_lane, and must not be there
            if self.words.word(index)[lane] != value {
                return self.fault(line, format!("{word:?}"), expected());
            }
        }
        self.filled[index] = true;
        Ok(())
    }

    fn finish(self, lines: usize) -> Result<Words, Error> {
        match self.filled.iter().position(|f| !f) {
            None => Ok(self.words),
            Some(missing) => {
                let found = format!("the end without word {}", grouped(missing));
                self.fault(lines.max(1), found, format!("{} words", grouped(self.words.len())))
            }
        }
    }

    fn coe(&mut self, text: &str) -> Result<(), Error> {
        let mut lines = numbered(text);
        for expected in [COE_RADIX, COE_VECTOR] {
            let (line, found) = lines.next().unwrap_or((1, "the end"));
            if compact(found) != expected {
                return self.fault(line, found, expected);
            }
        }
        let mut ended = false;
        let mut last = 2;
        for (line, text) in lines {
            last = line;
            if ended {
                return self.fault(line, text, "the end after `;`");
            }
            let list = text.strip_suffix(';');
            ended = list.is_some();
            let list = list.unwrap_or(text);
            let list = if ended { list } else { list.strip_suffix(',').unwrap_or(list) };
            for word in list.split(',') {
                self.push(line, word.trim())?;
            }
        }
        if ended {
            Ok(())
        } else {
            self.fault(last, "the end", "`;` after the last word")
        }
    }

    fn mif(&mut self, text: &str) -> Result<(), Error> {
        let header = [
            format!("width={};", self.words.width()),
            format!("depth={};", self.words.len()),
            "address_radix=uns;".into(),
            "data_radix=hex;".into(),
            "contentbegin".into(),
        ];
        let uncommented = numbered(text).map(|(line, text)| (line, text.split("--").next().unwrap_or("").trim()));
        let mut lines = uncommented.filter(|(_, text)| !text.is_empty());
        for expected in header {
            let (line, found) = lines.next().unwrap_or((1, "the end"));
            if compact(found) != expected {
                return self.fault(line, found, format!("{expected:?}"));
            }
        }
        let mut last = 1;
        while let Some((line, text)) = lines.next() {
            last = line;
            if compact(text) == "end;" {
                return match lines.next() {
                    Some((line, text)) => self.fault(line, text, "the end after `END;`"),
                    None => Ok(()),
                };
            }
            let parts = text.strip_suffix(';').and_then(|t| t.split_once(':'));
            let Some((place, word)) = parts else {
                return self.fault(line, text, "`address : word;`");
            };
            let place = place.trim();
            let range = place.strip_prefix('[').and_then(|p| p.strip_suffix(']')).and_then(|p| p.split_once(".."));
            let (first, end) = range.unwrap_or((place, place));
            let (Ok(first), Ok(end)) = (first.trim().parse::<usize>(), end.trim().parse::<usize>()) else {
                return self.fault(line, place, "an address or `[first..last]`");
            };
            if end < first {
                return self.fault(line, place, "an ascending range");
            }
            for index in first..=end {
                if self.filled.get(index) == Some(&true) {
                    return self.fault(line, format!("word {index} again"), "each address once");
                }
                self.set(line, index, word.trim())?;
            }
        }
        self.fault(last, "the end", "`END;`")
    }
}

/// Lower case without white space.
fn compact(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase()
}

/// What a message can show of a line.
fn shortened(text: &str) -> String {
    if text.chars().count() <= 60 {
        text.into()
    } else {
        text.chars().take(57).chain("...".chars()).collect()
    }
}
