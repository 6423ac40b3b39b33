//! Draws the curves: one panel each, both axes by powers of ten.

use std::fmt::Write as _;

use crate::Cost;

/// Costs along one axis.
pub struct Curve {
    pub axis: &'static str,
    pub costs: Vec<Cost>,
}

/// Of a panel, in units of the picture.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const MARGIN: f64 = 50.0;
/// Both scales go from one to this power of ten.
const DECADES: f64 = 3.0;
/// Names and colours of the two lines: blue and vermilion of a palette that all can tell apart
/// (<https://jfly.uni-koeln.de/color/>).
const LINES: [(&str, &str); 2] = [("µs an event", "#0072b2"), ("MiB", "#d55e00")];

/// The picture as SVG.
pub fn draw(curves: &[Curve]) -> String {
    let rows = curves.len().div_ceil(2) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n",
        WIDTH * 2.0,
        HEIGHT * rows
    );
    for (at, curve) in curves.iter().enumerate() {
        let (x, y) = ((at % 2) as f64 * WIDTH, (at / 2) as f64 * HEIGHT);
        let _ = writeln!(svg, "<g transform=\"translate({x},{y})\">");
        panel(&mut svg, curve);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, curve: &Curve) {
    for decade in 0..=DECADES as i32 {
        let (y, label) = (height(10_f64.powi(decade)), 10_i32.pow(decade as u32));
        let _ = writeln!(
            svg,
            "<line x1=\"{MARGIN}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - 20.0,
            MARGIN - 6.0,
            y + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        WIDTH / 2.0,
        HEIGHT - 6.0,
        curve.axis.replace('`', "")
    );
    for (line, (name, colour)) in LINES.iter().enumerate() {
        let value = |cost: &Cost| if line == 0 { cost.cpu_us } else { cost.memory_mib };
        let points: Vec<(f64, f64)> = curve
            .costs
            .iter()
            .enumerate()
            .map(|(at, cost)| (place(at, curve.costs.len()), height(value(cost))))
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for ((x, y), cost) in points.iter().zip(&curve.costs) {
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/><text x=\"{x:.1}\" \
                 y=\"{:.1}\" text-anchor=\"middle\" fill=\"{colour}\">{:.0}</text>",
                y - 8.0,
                value(cost)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" fill=\"{colour}\">{name}</text>",
            MARGIN + 10.0 + 100.0 * line as f64,
            16
        );
    }
    for (at, cost) in curve.costs.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            place(at, curve.costs.len()),
            HEIGHT - 26.0,
            cost.size
        );
    }
}

/// Where a size stands: the sizes of a curve are about equally far apart.
fn place(at: usize, count: usize) -> f64 {
    let step = (WIDTH - MARGIN - 60.0) / (count.max(2) - 1) as f64;
    MARGIN + 20.0 + step * at as f64
}

fn height(value: f64) -> f64 {
    let part = (value.max(1.0).log10() / DECADES).min(1.0);
    let (top, bottom) = (30.0, HEIGHT - 44.0);
    bottom - (bottom - top) * part
}
