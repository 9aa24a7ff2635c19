//! Text as symbols: one for each character, split into what is trained on, what choices are made on, and what is measured.

use crate::error::{grouped, Error};
use std::collections::BTreeMap;
use std::path::Path;

/// Share of the text that is trained on, in percent; the rest is measured, once.
const TRAINED: usize = 90;
/// Share of that at its end which is kept from training if nothing else is said, in percent: choices are made on it.
pub const HELD_OUT: usize = 5;
/// Fewer symbols than this leave nothing to learn in one of the parts.
const LEAST: usize = 200;

/// A text as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Character of each symbol.
    pub vocabulary: Vec<char>,
    /// Symbol of each character of the text.
    pub symbols: Vec<u32>,
}

/// Parts of a text, in its order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parts<'a> {
    /// Character of each symbol.
    pub vocabulary: &'a [char],
    pub train: &'a [u32],
    /// For every choice.
    pub held_out: &'a [u32],
    /// For the one measurement at the end.
    pub test: &'a [u32],
}

impl Text {
    /// Symbols are numbered in the order of their characters' code points.
    pub fn new(text: &str) -> Text {
        let mut vocabulary: Vec<char> = text.chars().collect();
        vocabulary.sort_unstable();
        vocabulary.dedup();
        let number: BTreeMap<char, u32> = vocabulary.iter().copied().zip(0..).collect();
        let symbols = text.chars().map(|c| number[&c]).collect();
        Text { vocabulary, symbols }
    }

    /// Reads a text, and with `vocabulary` a JSON object that gives each character its symbol. Errors: no UTF-8, a
    /// vocabulary whose symbols are not 0 to their number less one, a character that it does not have.
    pub fn load(path: &Path, vocabulary: Option<&Path>) -> Result<Text, Error> {
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_path_buf(), source });
        let text = read(path)?;
        let Some(vocabulary) = vocabulary else { return Ok(Text::new(&text)) };
        let wrong = |path: &Path, found: String, expected: &str| Error::Format { path: path.into(), found, expected: expected.into() };
        let number: BTreeMap<char, u32> = serde_json::from_str(&read(vocabulary)?)
            .map_err(|e| wrong(vocabulary, e.to_string(), "a JSON object of a number for each character"))?;
        let mut characters = vec![None; number.len()];
        for (character, symbol) in &number {
            match characters.get_mut(*symbol as usize) {
                Some(place @ None) => *place = Some(*character),
                _ => {
                    let expected = format!("each of 0 to {} once", number.len() - 1);
                    return Err(wrong(vocabulary, format!("symbol {symbol} of {character:?}"), &expected));
                }
            }
        }
        let symbol = |(at, c)| {
            let unknown = || wrong(path, format!("{c:?}, character {}", grouped(at)), &format!("those of {}", vocabulary.display()));
            number.get(&c).copied().ok_or_else(unknown)
        };
        let symbols = text.chars().enumerate().map(symbol).collect::<Result<_, _>>()?;
        Ok(Text { vocabulary: characters.into_iter().flatten().collect(), symbols })
    }

    /// The first 90 %, of which the last `held_out` percent are held out, and the last 10 %. Errors: a text of fewer than 200
    /// characters.
    pub fn parts(&self, path: &Path, held_out: usize) -> Result<Parts<'_>, Error> {
        let all = self.symbols.len();
        if all < LEAST {
            let (found, expected) = (format!("{all} characters"), format!("at least {LEAST}"));
            return Err(Error::Format { path: path.to_path_buf(), found, expected });
        }
        let (first, test) = self.symbols.split_at(all * TRAINED / 100);
        let (train, held_out) = first.split_at(first.len() - first.len() * held_out.min(100) / 100);
        Ok(Parts { vocabulary: &self.vocabulary, train, held_out, test })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_stand_for_characters_and_parts_for_the_text() {
        let words: String = (0..100).map(|k| format!("zebra {k}, ")).collect();
        let text = Text::new(&words);
        let back: String = text.symbols.iter().map(|s| text.vocabulary[*s as usize]).collect();
        assert_eq!(back, words);
        assert!(text.vocabulary.windows(2).all(|pair| pair[0] < pair[1]));
        let parts = text.parts(Path::new("words"), HELD_OUT).unwrap();
        assert_eq!([parts.train, parts.held_out, parts.test].concat(), text.symbols);
        assert_eq!(parts.test.len(), text.symbols.len() - text.symbols.len() * 90 / 100);
    }

    #[test]
    fn a_vocabulary_must_be_whole_and_have_every_character() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let text = file("t.txt", "abba");
        let good = Text::load(&text, Some(&file("v.json", r#"{"b": 0, "a": 1}"#))).unwrap();
        assert_eq!((good.symbols, good.vocabulary), (vec![1, 0, 0, 1], vec!['b', 'a']));
        let lacking = Text::load(&text, Some(&file("w.json", r#"{"b": 0}"#))).unwrap_err().to_string();
        assert!(lacking.contains("'a', character 0"), "{lacking}");
        let twice = Text::load(&text, Some(&file("x.json", r#"{"a": 1, "b": 1}"#))).unwrap_err().to_string();
        assert!(twice.contains("each of 0 to 1 once"), "{twice}");
        assert!(Text::new("short").parts(&text, HELD_OUT).unwrap_err().to_string().contains("5 characters"));
    }
}
