//! MNIST digits in a terminal.

/// Pixels of a digit's side, and of the empty border around it.
const SIDE: usize = 28;
const BORDER: usize = 4;
/// Pixels at least this bright are shown.
const BRIGHT: u8 = 96;

/// Two pixels per character, one above the other. The border is left out. `pixels` is 28 rows of 28.
pub fn draw(pixels: &[u8]) -> Vec<String> {
    let bright = |row: usize, column: usize| pixels[row * SIDE + column] >= BRIGHT;
    let character = |row: usize, column: usize| match (bright(row, column), bright(row + 1, column)) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    };
    let shown = BORDER..SIDE - BORDER;
    shown.clone().step_by(2).map(|row| shown.clone().map(|column| character(row, column)).collect()).collect()
}

/// Digits side by side, each with its caption below.
pub fn beside(digits: &[(Vec<String>, String)]) -> Vec<String> {
    const WIDTH: usize = SIDE - 2 * BORDER;
    let height = digits.iter().map(|d| d.0.len()).max().unwrap_or(0);
    let mut lines: Vec<String> = vec![];
    for line in 0..=height {
        let cell = |(drawn, caption): &(Vec<String>, String)| {
            let text = if line < height { drawn.get(line).map_or("", String::as_str) } else { caption };
            format!("{text:WIDTH$}")
        };
        lines.push(digits.iter().map(cell).collect::<Vec<_>>().join("   ").trim_end().to_string());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rows_of_pixels_are_one_line() {
        let mut pixels = vec![0; SIDE * SIDE];
        for (row, column) in [(4, 4), (5, 4), (4, 5), (7, 6)] {
            pixels[row * SIDE + column] = 255;
        }
        let lines = draw(&pixels);
        assert_eq!((lines.len(), lines[0].trim_end(), lines[1].trim_end()), (10, "█▀", "  ▄"));
        assert!(lines.iter().all(|l| l.chars().count() == 20));
    }

    #[test]
    fn captions_stand_below_their_digits() {
        let digit = (vec!["█".to_string()], "7".to_string());
        let lines = beside(&[digit.clone(), digit]);
        assert_eq!(lines, [format!("█{}█", " ".repeat(22)), format!("7{}7", " ".repeat(22))]);
    }
}
