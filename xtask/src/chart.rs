//! The plot of `cargo xtask sizes`: clock above, share of the device below; over width at the left, over rules at the right.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::ecp5::Board;
use crate::process::{Failure, Result};
use crate::sizes::Measured;

/// Of the picture, in pixels.
const SIZE: (u32, u32) = (960, 640);
/// What a size is on the axis below.
type Place = fn(&Measured) -> f64;

/// A line of a plot.
struct Line {
    name: &'static str,
    color: RGBColor,
    value: Box<dyn Fn(&Measured) -> f64>,
}

/// Writes the plot of all sizes to a file.
pub fn sizes(path: &Path, device: &Board, all: &[Measured]) -> Result {
    draw(path, device, all).map_err(|error| Failure::Check(format!("{}: {error}", path.display())))
}

fn draw(
    path: &Path,
    device: &Board,
    all: &[Measured],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (lut4, block_ram) = (device.lut4 as f64, device.block_ram as f64);
    let fmax = [Line {
        name: "Fmax, MHz",
        color: RED,
        value: Box::new(|one| one.fmax_mhz),
    }];
    let share = [
        Line {
            name: "LUT4, % of the device",
            color: BLUE,
            value: Box::new(move |one| 100.0 * one.lut4 as f64 / lut4),
        },
        Line {
            name: "block RAM, %",
            color: GREEN,
            value: Box::new(move |one| 100.0 * one.block_ram as f64 / block_ram),
        },
    ];
    let picture = SVGBackend::new(path, SIZE).into_drawing_area();
    picture.fill(&WHITE)?;
    let panels = picture.split_evenly((2, 2));
    let widths = of_line(all, |one| one.pages == 32);
    let rules = of_line(all, |one| one.width == 64);
    let width: Place = |one| one.width as f64;
    let rule: Place = |one| one.rules() as f64;
    panel(&panels[0], "bits of a stream", &widths, width, &fmax)?;
    panel(&panels[1], "rules", &rules, rule, &fmax)?;
    panel(&panels[2], "bits of a stream", &widths, width, &share)?;
    panel(&panels[3], "rules", &rules, rule, &share)?;
    picture.present()?;
    Ok(())
}

fn of_line(all: &[Measured], belongs: fn(&Measured) -> bool) -> Vec<Measured> {
    all.iter().filter(|one| belongs(one)).cloned().collect()
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    below: &str,
    sizes: &[Measured],
    place: Place,
    lines: &[Line],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let most = |value: &dyn Fn(&Measured) -> f64| sizes.iter().map(value).fold(1.0, f64::max);
    let top = lines
        .iter()
        .map(|line| most(&*line.value))
        .fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..1.05 * most(&place), 0.0..1.15 * top)?;
    chart
        .configure_mesh()
        .x_desc(below)
        .light_line_style(WHITE)
        .draw()?;
    for line in lines {
        let points: Vec<(f64, f64)> = sizes
            .iter()
            .map(|one| (place(one), (line.value)(one)))
            .collect();
        chart.draw_series(
            points
                .iter()
                .map(|point| Circle::new(*point, 3, line.color.filled())),
        )?;
        let color = line.color;
        chart
            .draw_series(LineSeries::new(points, color))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}
