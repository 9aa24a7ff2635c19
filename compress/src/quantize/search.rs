//! Bits for each layer under an error budget: which candidate of each layer makes a network small enough in error and
//! smallest in size.

use crate::error::Error;

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Of each layer, the number of its candidate.
    pub candidates: Vec<usize>,
    /// Their sizes, summed.
    pub bytes: usize,
    /// As the evaluator found it, in its own unit.
    pub error: f64,
    /// How often the evaluator was asked.
    pub evaluations: usize,
}

/// The evaluator, and what it has answered.
struct Asked<F> {
    evaluate: F,
    answers: Vec<(Vec<usize>, f64)>,
}

impl<F: FnMut(&[usize]) -> Result<f64, Error>> Asked<F> {
    fn error(&mut self, candidates: &[usize]) -> Result<f64, Error> {
        if let Some((_, error)) = self.answers.iter().find(|(asked, _)| asked == candidates) {
            return Ok(*error);
        }
        let error = (self.evaluate)(candidates)?;
        self.answers.push((candidates.to_vec(), error));
        Ok(error)
    }
}

/// Chooses a candidate of each layer so that the error is at most `budget` and the sum of bytes small.
///
/// `bytes[layer][candidate]` is what a candidate costs; `evaluate` says the error of a choice, on digits that are held out,
/// and is asked once for each choice that comes up. Greedy: from the best choice (of each layer its largest candidate) the
/// search takes the step of one layer to a smaller candidate that saves the most bytes for each unit of error, as long as one stays
/// within the budget; then pairs of steps, one layer down and another up, as long as they save bytes. The error of what is
/// returned was measured, not added up.
///
/// Errors: a layer without candidates, a budget that even the largest candidates exceed (a NaN is an excess), what
/// `evaluate` reports.
pub fn choose(bytes: &[Vec<usize>], budget: f64, evaluate: impl FnMut(&[usize]) -> Result<f64, Error>) -> Result<Choice, Error> {
    if let Some(layer) = bytes.iter().position(Vec::is_empty) {
        return Err(Error::Network(format!("layer {} has no candidates to choose from", layer + 1)));
    }
    let mut asked = Asked { evaluate, answers: vec![] };
    let size = |candidates: &[usize]| -> usize { candidates.iter().zip(bytes).map(|(c, b)| b[*c]).sum() };
    let mut now = largest(bytes);
    let mut error = asked.error(&now)?;
    if error.is_nan() || error > budget {
        return Err(Error::Network(format!("its error is {error} with the largest candidates of all layers, the budget is {budget}")));
    }
    loop {
        let mut best: Option<((bool, f64), Vec<usize>, f64)> = None;
        for (layer, sizes) in bytes.iter().enumerate() {
            for candidate in (0..sizes.len()).filter(|c| sizes[*c] < sizes[now[layer]]) {
                let mut next = now.clone();
                next[layer] = candidate;
                let found = asked.error(&next)?;
                if found <= budget {
                    let saved = (sizes[now[layer]] - sizes[candidate]) as f64;
                    // what costs nothing comes first, the most bytes before others
                    let free = found <= error;
                    let worth = (free, if free { saved } else { saved / (found - error) });
                    if best.as_ref().is_none_or(|(most, ..)| worth > *most) {
                        best = Some((worth, next, found));
                    }
                }
            }
        }
        if best.is_none() {
            best = exchange(bytes, &now, budget, &mut asked)?.map(|(next, found)| ((false, 0.0), next, found));
        }
        match best {
            Some((_, next, found)) => (now, error) = (next, found),
            None => break,
        }
    }
    Ok(Choice { bytes: size(&now), candidates: now, error, evaluations: asked.answers.len() })
}

/// Where [`choose`] starts: of each layer its largest candidate, of equal sizes the first, which the caller likes best.
pub fn largest(bytes: &[Vec<usize>]) -> Vec<usize> {
    bytes.iter().map(|b| (0..b.len()).rev().max_by_key(|c| b[*c]).unwrap_or(0)).collect()
}

/// The pair of one layer smaller and another larger that saves the most bytes within the budget.
fn exchange<F: FnMut(&[usize]) -> Result<f64, Error>>(
    bytes: &[Vec<usize>],
    now: &[usize],
    budget: f64,
    asked: &mut Asked<F>,
) -> Result<Option<(Vec<usize>, f64)>, Error> {
    let mut pairs: Vec<(usize, Vec<usize>)> = vec![];
    for (down, smaller) in bytes.iter().enumerate() {
        for (up, larger) in bytes.iter().enumerate().filter(|(up, _)| *up != down) {
            for (c, d) in (0..smaller.len()).flat_map(|c| (0..larger.len()).map(move |d| (c, d))) {
                let (before, after) = (smaller[now[down]] + larger[now[up]], smaller[c] + larger[d]);
                if after < before && larger[d] > larger[now[up]] {
                    let mut next = now.to_vec();
                    (next[down], next[up]) = (c, d);
                    pairs.push((before - after, next));
                }
            }
        }
    }
    // a stable sort: of equal ones the first
    pairs.sort_by_key(|(saved, _)| std::cmp::Reverse(*saved));
    for (_, next) in pairs {
        let error = asked.error(&next)?;
        if error <= budget {
            return Ok(Some((next, error)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// Every choice of candidates.
    fn all(bytes: &[Vec<usize>]) -> Vec<Vec<usize>> {
        bytes.iter().fold(vec![vec![]], |heads, sizes| {
            let longer = |head: &Vec<usize>| (0..sizes.len()).map(|c| [head.as_slice(), &[c]].concat()).collect::<Vec<_>>();
            heads.iter().flat_map(longer).collect()
        })
    }

    fn size(bytes: &[Vec<usize>], candidates: &[usize]) -> usize {
        candidates.iter().zip(bytes).map(|(c, b)| b[*c]).sum()
    }

    #[test]
    fn the_choice_holds_the_budget_and_comes_close_to_the_smallest() {
        let (mut exact, mut ratio) = (0, 1.0f64);
        for seed in 0..60 {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            // 2 to 6 bits of layers of different sizes; the error of a layer falls by about 4 with each bit, and is not monotone
            let weights: Vec<usize> = (0..4).map(|_| rng.random_range(20..2000)).collect();
            let bytes: Vec<Vec<usize>> = weights.iter().map(|w| (2..=6).map(|bits| w * bits / 8 + (2 << bits)).collect()).collect();
            let scale: Vec<f64> = (0..4).map(|_| rng.random_range(0.1..4.0)).collect();
            let jitter: Vec<f64> = (0..5).map(|_| rng.random_range(0.8..1.2)).collect();
            let error = |c: &[usize]| c.iter().zip(&scale).map(|(c, s)| s * jitter[*c] / 4f64.powi(*c as i32)).sum::<f64>();
            let budget = 0.5;
            let found = choose(&bytes, budget, |c| Ok(error(c))).unwrap();
            assert!(error(&found.candidates) <= budget && found.error == error(&found.candidates), "seed {seed}");
            assert_eq!(found.bytes, size(&bytes, &found.candidates));
            let allowed = all(&bytes).into_iter().filter(|c| error(c) <= budget);
            let least = allowed.map(|c| size(&bytes, &c)).min().unwrap();
            assert!(found.bytes >= least && found.evaluations < 5 * 5 * 5 * 5);
            exact += usize::from(found.bytes == least);
            ratio = ratio.max(found.bytes as f64 / least as f64);
        }
        assert!(exact >= 45 && ratio < 1.1, "{exact} of 60 exact, the worst {ratio}");
    }

    #[test]
    fn steps_that_cost_nothing_come_first_and_all_of_them_are_taken() {
        let bytes = [vec![10, 20, 40], vec![100, 200]];
        let found = choose(&bytes, 1.0, |_| Ok(1.0)).unwrap();
        assert_eq!(found, Choice { candidates: vec![0, 0], bytes: 110, error: 1.0, evaluations: found.evaluations });
        // the second layer may not shrink
        let found = choose(&bytes, 1.0, |c| Ok(if c[1] == 0 { 2.0 } else { 0.5 })).unwrap();
        assert_eq!((found.candidates, found.bytes, found.error), (vec![0, 1], 210, 0.5));
    }

    #[test]
    fn one_layer_may_grow_so_that_another_shrinks() {
        // greedily the first layer shrinks, as that is cheap; the second alone may shrink if the first does not
        let bytes = [vec![10, 20], vec![50, 100]];
        let error = |c: &[usize]| [[9.0, 0.1], [0.9, 0.0]][c[0]][c[1]];
        let found = choose(&bytes, 1.0, |c| Ok(error(c))).unwrap();
        assert_eq!((found.candidates, found.bytes), (vec![1, 0], 70));
        let error = |c: &[usize]| [[9.0, 0.001], [0.9, 0.0]][c[0]][c[1]];
        assert_eq!(choose(&bytes, 1.0, |c| Ok(error(c))).unwrap().bytes, 70);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let error = |bytes: &[Vec<usize>], error: f64| choose(bytes, 1.0, |_| Ok(error)).unwrap_err().to_string();
        assert!(error(&[vec![1], vec![]], 0.0).contains("layer 2 has no candidates"));
        for value in [1.5, f64::NAN] {
            let text = error(&[vec![1]], value);
            assert!(text.contains(&format!("its error is {value} with the largest candidates")) && text.contains("budget is 1"), "{text}");
        }
        let failed = choose(&[vec![1, 2]], 1.0, |_| Err(Error::Network("no digits".into())));
        assert!(failed.unwrap_err().to_string().contains("no digits"));
        // a NaN on the way is no way
        assert_eq!(choose(&[vec![1, 2]], 1.0, |c| Ok(if c[0] == 0 { f64::NAN } else { 0.0 })).unwrap().candidates, [1]);
    }
}
