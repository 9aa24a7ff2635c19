//! How a layer walks over the feature map in its source buffer, and how its results form the next one.
//!
//! Map: a pixel of C channels takes R = ceil(C / N) rows of lanes; channel `c` of pixel `(y, x)` of a map of width `W` is
//! position `((y W + x) R) N + c`. Positions of channels that do not exist hold 0.
//!
//! A layer runs over `out_width x out_height` places, line by line. At place `(y, x)` it takes a patch: `source_rows /
//! run_rows` runs of `run_rows` successive rows, the first from row `y step_y + x step_x` on, each `line_rows` behind the one
//! before. The layer's columns are numbered in that order, N per row. Of each `pool x pool` square of places the largest
//! results make one pixel of the destination: window `(y / pool, x / pool)` is rows `(y / pool (out_width / pool) +
//! x / pool) out_rows` and up.

/// The walk of a layer; a fully connected layer has one place and one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Rows of a run: those of a line of the patch. Divides `source_rows`.
    pub run_rows: usize,
    /// Rows from the start of a run to that of the next: those of a line of the map.
    pub line_rows: usize,
    /// Rows from a place to the next in its line.
    pub step_x: usize,
    /// Rows from a line of places to the next.
    pub step_y: usize,
    /// Places of a line, before pooling; a multiple of `pool`.
    pub out_width: usize,
    /// Lines of places, before pooling; a multiple of `pool`.
    pub out_height: usize,
    /// Places of a pooling window, each way; 1 keeps every result. At most 15.
    pub pool: usize,
}

impl Walk {
    /// The walk of a fully connected layer: one place of all its rows.
    pub fn whole(source_rows: usize) -> Walk {
        Walk { run_rows: source_rows, line_rows: 0, step_x: 0, step_y: 0, out_width: 1, out_height: 1, pool: 1 }
    }

    /// The walk of a convolution over lines of `width` pixels of `pixel_rows` rows each. `kernel_width` columns of filter;
    /// `places` is lines and columns of results before pooling, multiples of `pool`. The layer's `source_rows` are filter
    /// height x `run_rows`.
    pub fn over(width: usize, pixel_rows: usize, kernel_width: usize, stride: usize, places: [usize; 2], pool: usize) -> Walk {
        let line_rows = width * pixel_rows;
        Walk {
            run_rows: kernel_width * pixel_rows,
            line_rows,
            step_x: stride * pixel_rows,
            step_y: stride * line_rows,
            out_width: places[1],
            out_height: places[0],
            pool,
        }
    }

    /// In the order of the fields of a record.
    pub(super) fn values(&self) -> [usize; 7] {
        [self.run_rows, self.line_rows, self.step_x, self.step_y, self.out_width, self.out_height, self.pool]
    }
    pub(super) fn from_values(values: [usize; 7]) -> Walk {
        let [run_rows, line_rows, step_x, step_y, out_width, out_height, pool] = values;
        Walk { run_rows, line_rows, step_x, step_y, out_width, out_height, pool }
    }

    pub fn places(&self) -> usize {
        self.out_width * self.out_height
    }
    /// Pixels of the destination: windows of places.
    pub fn windows(&self) -> usize {
        let pool = self.pool.max(1);
        (self.out_width / pool) * (self.out_height / pool)
    }
    /// Runs of a patch of `source_rows` rows.
    pub fn runs(&self, source_rows: usize) -> usize {
        source_rows / self.run_rows.max(1)
    }
    /// One more than the last source row that the walk reaches.
    pub fn span(&self, source_rows: usize) -> usize {
        let before = |count: usize| count.saturating_sub(1);
        before(self.out_height) * self.step_y
            + before(self.out_width) * self.step_x
            + before(self.runs(source_rows)) * self.line_rows
            + self.run_rows
    }
    /// Source row of row `row` of the patch at place `(y, x)`.
    pub fn source_row(&self, y: usize, x: usize, row: usize) -> usize {
        y * self.step_y + x * self.step_x + row / self.run_rows * self.line_rows + row % self.run_rows
    }
    /// The window of place `(y, x)`, which is its pixel of the destination.
    pub fn window(&self, y: usize, x: usize) -> usize {
        y / self.pool * (self.out_width / self.pool) + x / self.pool
    }
}

/// Position of channel `channel` of pixel `(y, x)` in a map of `channels` channels and lines of `width` pixels.
pub fn map_position(y: usize, x: usize, channel: usize, width: usize, channels: usize, pes: usize) -> usize {
    (y * width + x) * channels.div_ceil(pes) * pes + channel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_the_pixels_under_the_filter() {
        // a map of 4 lines of 6 pixels, 5 channels on 2 PEs: 3 rows a pixel; filters of 2 x 3, stride 2
        let (width, channels, pes) = (6, 5, 2);
        let walk = Walk::over(width, 3, 3, 2, [2, 2], 1);
        let source_rows = 2 * walk.run_rows;
        for (y, x) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let mut row = 0;
            for (ky, kx) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
                for channel in [0, 2, 4] {
                    let q = map_position(2 * y + ky, 2 * x + kx, channel, width, channels, pes);
                    assert_eq!(walk.source_row(y, x, row), q / pes, "place {y}, {x}, row {row}");
                    row += 1;
                }
            }
            assert_eq!((row, walk.runs(source_rows)), (source_rows, 2));
        }
        // the last pixel that a filter covers is (3, 4)
        assert_eq!(walk.span(source_rows), map_position(3, 4, 4, width, channels, pes) / pes + 1);
        assert_eq!((walk.places(), walk.windows()), (4, 4));
    }

    #[test]
    fn windows_of_pooling_form_the_next_map() {
        let walk = Walk::over(9, 1, 2, 1, [4, 8], 2);
        assert_eq!((walk.places(), walk.windows()), (32, 8));
        let line = |y: usize| (0..8).map(|x| walk.window(y, x)).collect::<Vec<_>>();
        assert_eq!(line(1), [0, 0, 1, 1, 2, 2, 3, 3]);
        assert_eq!(line(2), [4, 4, 5, 5, 6, 6, 7, 7]);
    }

    #[test]
    fn a_fully_connected_layer_is_one_place() {
        let walk = Walk::whole(7);
        assert_eq!((walk.places(), walk.windows(), walk.runs(7), walk.span(7)), (1, 1, 1, 7));
    }
}
