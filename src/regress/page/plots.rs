//! Cycles and utilization of runs as SVG. The page's style gives the colors, light and dark, by the ones that are drawn here.

use anyhow::{anyhow, Result};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::Shift;
use plotters::prelude::*;

/// Small, so that the text can be read on a telephone.
const SIZE: (u32, u32) = (420, 300);
const GRID: RGBColor = RGBColor(0xd0, 0xd7, 0xde);
const BOUND: RGBColor = RGBColor(0x57, 0x60, 0x6a);
/// Of EIE and ESE.
const COLORS: [RGBColor; 2] = [RGBColor(0x0a, 0x5b, 0xc4), RGBColor(0xb0, 0x3a, 0x00)];
/// Points of a plot; more say nothing more.
const MOST: usize = 4000;

/// A run whose cycles were compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// 0 EIE, 1 ESE.
    pub datapath: usize,
    pub cycles: u64,
    /// The least that they can be.
    pub bound: u64,
}

impl Run {
    pub fn utilization(&self) -> f64 {
        100.0 * self.bound as f64 / self.cycles.max(1) as f64
    }
}

fn shown<T>(points: &[T]) -> impl Iterator<Item = &T> {
    points.iter().step_by(points.len().div_ceil(MOST).max(1))
}

/// Cycles over their bound, with the line on which both are equal.
pub fn cycles(runs: &[Run]) -> Result<String> {
    let most = runs.iter().map(|r| r.cycles.max(r.bound)).max().unwrap_or(1).max(10) as f64 * 1.3;
    let body = |area: &DrawingArea<SVGBackend, Shift>| -> Result<()> {
        let axis = || (0.8..most).log_scale();
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(52)
            .build_cartesian_2d(axis(), axis())
            .map_err(fault)?;
        mesh(&mut chart, "bound: mean work of the PEs, cycles", "cycles")?;
        chart.draw_series(LineSeries::new([(0.8, 0.8), (most, most)], BOUND.stroke_width(1))).map_err(fault)?;
        let dot = |r: &Run| Circle::new((r.bound.max(1) as f64, r.cycles as f64), 3, COLORS[r.datapath % 2].filled());
        chart.draw_series(shown(runs).map(dot)).map_err(fault)?;
        Ok(())
    };
    svg(body)
}

/// Share of the bound in the cycles, run after run.
pub fn utilization(runs: &[Run]) -> Result<String> {
    let body = |area: &DrawingArea<SVGBackend, Shift>| -> Result<()> {
        let mut builder = ChartBuilder::on(area);
        builder.margin(8).x_label_area_size(38).y_label_area_size(52);
        let mut chart = builder.build_cartesian_2d(0.0..runs.len().max(1) as f64 + 1.0, 0.0..100.0).map_err(fault)?;
        mesh(&mut chart, "runs, by utilization", "bound / cycles, %")?;
        let mut sorted = runs.to_vec();
        sorted.sort_by(|a, b| b.utilization().total_cmp(&a.utilization()));
        let numbered: Vec<(usize, Run)> = sorted.into_iter().enumerate().collect();
        let dot = |(at, r): &(usize, Run)| Circle::new((*at as f64 + 1.0, r.utilization().min(100.0)), 3, COLORS[r.datapath % 2].filled());
        chart.draw_series(shown(&numbered).map(dot)).map_err(fault)?;
        Ok(())
    };
    svg(body)
}

fn svg(body: impl Fn(&DrawingArea<SVGBackend, Shift>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        body(&area)?;
        area.present().map_err(fault)?;
    }
    Ok(svg)
}

fn mesh<X, Y>(chart: &mut ChartContext<SVGBackend, Cartesian2d<X, Y>>, x: &str, y: &str) -> Result<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x).y_desc(y).x_labels(6).y_labels(6).bold_line_style(GRID).light_line_style(TRANSPARENT).axis_style(BOUND);
    mesh.label_style(("sans-serif", 13)).draw().map_err(fault)
}

fn fault(e: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("a plot of the regression: {e}")
}
