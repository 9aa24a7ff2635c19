//! Curves as SVG, from the rows of a measurement.

use anyhow::{anyhow, bail, Result};
use lacuna_compress::files::write_whole;
use plotters::prelude::*;
use serde_json::Value;
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

/// Of `deep`: error over density and over shared weights.
pub fn deep(rows: &[Value], folder: &Path) -> Result<()> {
    for (curve, x, label) in [("density", "density", "density of the weights, %"), ("bits", "shared_weights", "shared weights per layer")] {
        let scale = if x == "density" { 100.0 } else { 1.0 };
        let mut series = vec![];
        for model in ["lenet300100", "lenet5"] {
            let rows: Vec<&Value> = rows.iter().filter(|row| row["model"] == model && row["curve"] == curve).collect();
            let with = |y: &'static str| points(&rows, x, y, scale);
            series.push(Series { name: format!("{model}, dense"), points: with("dense_error_percent") });
            series.push(Series { name: model.to_string(), points: with("error_percent") });
        }
        let axes = Axes { title: "Error on the 10,000 test digits after retraining", x: label, y: "error, %", log_x: true };
        draw(&folder.join(format!("deep-{curve}.svg")), &axes, &series)?;
    }
    Ok(())
}

/// Of `prune-lm`: bits per character over density.
pub fn prune_lm(rows: &[Value], folder: &Path) -> Result<()> {
    let rows: Vec<&Value> = rows.iter().collect();
    let with = |name: &str, y: &'static str| Series { name: name.to_string(), points: points(&rows, "density", y, 100.0) };
    let series = [with("dense", "dense_bits_per_char"), with("pruned and retrained", "bits_per_char")];
    let axes = Axes {
        title: "Character LSTM on text it was not trained on",
        x: "density of the kernels, %",
        y: "bits per character",
        log_x: true,
    };
    draw(&folder.join("prune-lm.svg"), &axes, &series)
}

/// What the rows have of both keys, x ascending.
fn points(rows: &[&Value], x: &str, y: &str, scale: f64) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = rows.iter().filter_map(|row| Some((row[x].as_f64()? * scale, row[y].as_f64()?))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
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
