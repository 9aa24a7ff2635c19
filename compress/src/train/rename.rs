//! Plays whose speakers get invented names, others in every epoch.
//!
//! The names of a play fill a good part of its lines, and are those of that play only: a network that learns them by heart
//! is sure of the wrong ones in the next. Invented ones teach it what a name looks like, and that it comes again.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Shorter words in capitals are no names: OF, II, IV.
const LEAST_LETTERS: usize = 3;
/// A name is invented anew at one place in so many.
const ANEW: u32 = 50;
/// Attempts to invent a name of the right length.
const ATTEMPTS: usize = 500;

/// The names of a play's speakers: words in capitals on a line that follows an empty line and ends with a colon.
#[derive(Clone, Debug, PartialEq)]
pub struct Speakers {
    /// First symbol and length of each, in the order of the text.
    places: Vec<(usize, usize)>,
    /// What follows two letters in names, as often as it does; `None` is the end. Names begin after two `None`.
    following: BTreeMap<[Option<u32>; 2], Vec<Option<u32>>>,
    share: f32,
}

impl Speakers {
    /// Of `symbols`, a part of a text with its vocabulary. `share` of the names are exchanged.
    pub fn new(vocabulary: &[char], symbols: &[u32], share: f32) -> Speakers {
        let text: Vec<char> = symbols.iter().map(|s| vocabulary[*s as usize]).collect();
        let places = places(&text);
        let mut names: BTreeSet<Vec<char>> = places.iter().map(|(from, length)| text[*from..from + length].to_vec()).collect();
        names.extend(proper_nouns(&text));
        let number: BTreeMap<char, u32> = vocabulary.iter().copied().zip(0..).collect();
        let mut following: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for name in &names {
            let Some(letters) = name.iter().map(|c| number.get(c).copied()).collect::<Option<Vec<u32>>>() else { continue };
            let mut before = [None, None];
            for next in letters.into_iter().map(Some).chain([None]) {
                following.entry(before).or_default().push(next);
                before = [before[1], next];
            }
        }
        Speakers { places, following, share }
    }

    /// The same text, of the same length, with other names. A name keeps its new one for a while.
    pub fn renamed(&self, symbols: &[u32], seed: u64, epoch: [usize; 2]) -> Vec<u32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((1 << 63) + ((epoch[0] as u64) << 32) + epoch[1] as u64);
        let mut all = symbols.to_vec();
        let mut new: BTreeMap<&[u32], Option<Vec<u32>>> = BTreeMap::new();
        for (from, length) in &self.places {
            let name = &symbols[*from..from + length];
            if rng.random_ratio(1, ANEW) || !new.contains_key(name) {
                let invented = if rng.random::<f32>() < self.share { self.invent(*length, &mut rng) } else { None };
                new.insert(name, invented);
            }
            if let Some(Some(name)) = new.get(name) {
                all[*from..from + length].copy_from_slice(name);
            }
        }
        all
    }

    fn invent(&self, length: usize, rng: &mut impl Rng) -> Option<Vec<u32>> {
        (0..ATTEMPTS).find_map(|_| {
            let (mut name, mut before) = (vec![], [None, None]);
            while name.len() <= length {
                let Some(next) = self.following.get(&before).map(|all| all[rng.random_range(0..all.len())]) else { break };
                before = [before[1], next];
                match next {
                    Some(letter) => name.push(letter),
                    None => break,
                }
            }
            (name.len() == length).then_some(name)
        })
    }
}

fn places(text: &[char]) -> Vec<(usize, usize)> {
    let (mut all, mut from) = (vec![], 0);
    let mut empty_before = true;
    for line in text.split(|c| *c == '\n') {
        if let Some((':', names)) = line.split_last().filter(|_| empty_before) {
            let mut at = from;
            for word in names.split(|c| !c.is_alphabetic()) {
                if word.len() >= LEAST_LETTERS && word.iter().all(|c| c.is_uppercase()) {
                    all.push((at, word.len()));
                }
                at += word.len() + 1;
            }
        }
        empty_before = line.is_empty();
        from += line.len() + 1;
    }
    all
}

/// Words that the text has with a capital only, in capitals.
fn proper_nouns(text: &[char]) -> BTreeSet<Vec<char>> {
    let words: BTreeSet<&[char]> = text.split(|c| !c.is_alphabetic()).filter(|w| w.len() >= LEAST_LETTERS).collect();
    let small: BTreeSet<String> = words.iter().filter(|w| w[0].is_lowercase()).map(|w| w.iter().collect()).collect();
    let one_capital = |w: &&&[char]| w[0].is_uppercase() && w[1..].iter().all(|c| c.is_lowercase());
    let named = words.iter().filter(one_capital).filter(|w| !small.contains(&w.iter().flat_map(|c| c.to_lowercase()).collect::<String>()));
    named.map(|w| w.iter().flat_map(|c| c.to_uppercase()).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::text::Text;

    const PLAY: &str = "ROMEO:\nGood Gregory, says Romeo to Roberto, Rosaline, Ronan, Kira, Kaleb, Kimon, Lea and Lena.\n\nFirst Lord:\nNo. Good:\nKING LEO II:\n\nKING LEO II:\nYes, good Balthasar.\n";

    #[test]
    fn only_speakers_in_capitals_get_other_names_of_the_same_length() {
        let text = Text::new(PLAY);
        let speakers = Speakers::new(&text.vocabulary, &text.symbols, 1.0);
        let chars: Vec<char> = PLAY.chars().collect();
        let names: Vec<String> = speakers.places.iter().map(|(from, n)| chars[*from..from + n].iter().collect()).collect();
        assert_eq!(names, ["ROMEO", "KING", "LEO"]);
        assert_eq!(
            proper_nouns(&chars).iter().map(|n| n.iter().collect::<String>()).collect::<Vec<_>>(),
            [
                "BALTHASAR",
                "FIRST",
                "GREGORY",
                "KALEB",
                "KIMON",
                "KIRA",
                "LEA",
                "LENA",
                "LORD",
                "ROBERTO",
                "ROMEO",
                "RONAN",
                "ROSALINE",
                "YES"
            ]
        );
        let renamed = (0..20).map(|epoch| speakers.renamed(&text.symbols, 1, [0, epoch])).collect::<Vec<_>>();
        let mut kinds = BTreeSet::new();
        for symbols in &renamed {
            let new: Vec<char> = symbols.iter().map(|s| text.vocabulary[*s as usize]).collect();
            assert_eq!(new.len(), chars.len());
            let outside = |k: &usize| !speakers.places.iter().any(|(from, n)| (*from..from + n).contains(k));
            assert!((0..new.len()).filter(outside).all(|k| new[k] == chars[k]));
            for (from, n) in &speakers.places {
                let name: String = new[*from..from + n].iter().collect();
                assert!(["BA", "FI", "GR", "LO", "RO", "YE", "KI", "KA", "LE"].contains(&&name[..2]), "{name}");
                kinds.insert(name);
            }
        }
        assert_eq!(renamed[3], speakers.renamed(&text.symbols, 1, [0, 3]));
        assert!(kinds.len() > speakers.places.len(), "{kinds:?}");
        assert_eq!(Speakers::new(&text.vocabulary, &text.symbols, 0.0).renamed(&text.symbols, 1, [0, 0]), text.symbols);
    }

    #[test]
    fn a_name_keeps_its_new_one_for_a_while() {
        let play: String = (0..60).map(|k| format!("{}:\nwords\n\n", ["GONZALO", "ANTONIO"][k % 2])).collect();
        let text = Text::new(&(play + "Mirando Gonzago Antalo Ganzalio"));
        let speakers = Speakers::new(&text.vocabulary, &text.symbols, 1.0);
        let renamed = speakers.renamed(&text.symbols, 5, [0, 0]);
        let names: Vec<&[u32]> = speakers.places.iter().map(|(from, n)| &renamed[*from..from + n]).collect();
        assert_eq!(names.len(), 60);
        let again = names.windows(3).filter(|w| w[0] == w[2]).count();
        assert!((45..58).contains(&again), "{again}");
    }
}
