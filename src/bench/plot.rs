//! Curves as SVG, from the rows of a measurement.

use anyhow::{anyhow, bail, Result};
use lacuna_compress::files::write_whole;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (760, 440);

/// A line with a name, and its points (x, y).
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// What the axes say.
pub struct Axes<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// A logarithmic x axis; all x must be positive then.
    pub log_x: bool,
}

/// Mesh, lines and legend: the same for both kinds of x axis, whose charts have different types.
macro_rules! body {
    ($chart:ident, $axes:ident, $series:ident, $fault:ident) => {{
        let mesh = &mut $chart.configure_mesh();
        mesh.x_desc($axes.x).y_desc($axes.y).light_line_style(WHITE).label_style(("sans-serif", 13));
        mesh.draw().map_err(|e| $fault(e.to_string()))?;
        for (number, one) in $series.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            let line = LineSeries::new(one.points.iter().copied(), color.stroke_width(2));
            let drawn = $chart.draw_series(line).map_err(|e| $fault(e.to_string()))?;
            drawn.label(one.name.as_str()).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
            let dots = one.points.iter().map(|p| Circle::new(*p, 3, color.filled()));
            $chart.draw_series(dots).map_err(|e| $fault(e.to_string()))?;
        }
        let labels = &mut $chart.configure_series_labels();
        labels
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 13));
        labels.draw().map_err(|e| $fault(e.to_string()))?;
    }};
}
/// Draws the series into a file. An error if there is no point, or one is not finite.
pub fn draw(path: &Path, axes: &Axes, series: &[Series]) -> Result<()> {
    let svg = render(axes, series)?;
    Ok(write_whole(path, svg.as_bytes())?)
}

fn render(axes: &Axes, series: &[Series]) -> Result<String> {
    let points: Vec<(f64, f64)> = series.iter().flat_map(|s| s.points.iter().copied()).collect();
    if points.is_empty() || points.iter().any(|(x, y)| !x.is_finite() || !y.is_finite() || (axes.log_x && *x <= 0.0)) {
        bail!("plot {:?}: found {} points, expected at least one and all of them finite", axes.title, points.len());
    }
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let fault = |e: String| anyhow!("plot {:?}: {e}", axes.title);
        area.fill(&WHITE).map_err(|e| fault(e.to_string()))?;
        let (x, y) = (span(points.iter().map(|p| p.0), axes.log_x), span(points.iter().map(|p| p.1), false));
        let mut builder = ChartBuilder::on(&area);
        builder.caption(axes.title, ("sans-serif", 18)).margin(14).x_label_area_size(44).y_label_area_size(58);
        if axes.log_x {
            let mut chart = builder.build_cartesian_2d((x.0..x.1).log_scale(), y.0..y.1).map_err(|e| fault(e.to_string()))?;
            body!(chart, axes, series, fault);
        } else {
            let mut chart = builder.build_cartesian_2d(x.0..x.1, y.0..y.1).map_err(|e| fault(e.to_string()))?;
            body!(chart, axes, series, fault);
        }
        area.present().map_err(|e| fault(e.to_string()))?;
    }
    Ok(svg)
}

/// Least and largest value with some room around them.
fn span(values: impl Iterator<Item = f64>, log: bool) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if log {
        return (low / 1.15, high * 1.15);
    }
    let room = ((high - low) * 0.06).max(high.abs() * 0.01).max(1e-6);
    (low - room, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(log_x: bool) -> Axes<'static> {
        Axes { title: "a title", x: "density", y: "error", log_x }
    }

    #[test]
    fn every_point_and_name_is_drawn() {
        let series = |name: &str, points: &[(f64, f64)]| Series { name: name.into(), points: points.to_vec() };
        let all = [series("first", &[(0.01, 2.0), (0.1, 1.0), (1.0, 0.9)]), series("second", &[(0.02, 3.0)])];
        for log_x in [false, true] {
            let svg = render(&axes(log_x), &all).unwrap();
            assert_eq!(svg.matches("<circle").count(), 4);
            for text in ["a title", "density", "error", "first", "second"] {
                assert!(svg.contains(text), "{text}");
            }
        }
        // further right is further right
        let x_of = |svg: &str| svg.split("<circle cx=\"").nth(1).and_then(|s| s.split('"').next()).unwrap().parse::<i32>().unwrap();
        let swapped = [series("first", &[(1.0, 0.9), (0.01, 2.0)])];
        assert!(x_of(&render(&axes(true), &swapped).unwrap()) > x_of(&render(&axes(true), &all).unwrap()));
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(render(&axes(false), &[]).is_err());
        let bad = |x: f64| [Series { name: "a".into(), points: vec![(x, 1.0)] }];
        assert!(render(&axes(false), &bad(f64::NAN)).is_err());
        assert!(render(&axes(true), &bad(0.0)).is_err());
        assert!(render(&axes(false), &bad(0.0)).is_ok());
    }
}
