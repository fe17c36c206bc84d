//! A plot of a window as SVG: one line for each channel, interrupted where samples are missing.

use std::fmt::Write as _;

use super::window::{Window, number, ticks, widened};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 480.0;
/// The edges of the field of the plot.
const LEFT: f64 = 90.0;
const RIGHT: f64 = 940.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 420.0;

/// Colours that are told apart also by those who do not see all of them.
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c8c00"];

/// The file.
pub fn svg(window: &Window, title: &str, labels: &[String], units: &str) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{}</text>\n",
        escaped(title)
    );
    let values = widened(window.range().unwrap_or((0.0, 0.0)));
    let times = widened(window.times());
    axes(&mut out, times, values, units);
    for (channel, (column, label)) in window.values().iter().zip(labels).enumerate() {
        let colour = COLOURS[channel % COLOURS.len()];
        let _ = writeln!(out, "<g stroke=\"{colour}\" fill=\"none\" stroke-width=\"1.2\">");
        let _ = writeln!(out, "<title>{}</title>", escaped(label));
        // What is at the same place on the paper is drawn once.
        let last = column.len().saturating_sub(1).max(1) as f64;
        let x = |i: usize| LEFT + i as f64 / last * (RIGHT - LEFT);
        let y = |value: f64| BOTTOM - (value - values.0) / (values.1 - values.0) * (BOTTOM - TOP);
        let mut run: Vec<(f64, f64)> = Vec::new();
        for (i, &value) in column.iter().enumerate() {
            if value.is_finite() {
                run.push((x(i), y(value)));
            } else {
                line(&mut out, &run);
                run.clear();
            }
        }
        line(&mut out, &run);
        out += "</g>\n";
    }
    legend(&mut out, labels);
    out += "</svg>\n";
    out
}

/// A run of samples without a gap.
fn line(out: &mut String, run: &[(f64, f64)]) {
    match thinned(run).as_slice() {
        [] => {}
        [(x, y)] => {
            let _ = writeln!(out, "<circle cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"1\"/>");
        }
        points => {
            let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
            let _ = writeln!(out, "<polyline points=\"{}\"/>", points.join(" "));
        }
    }
}

/// Of the points within a pixel's width those that make a difference: the first, the lowest, the highest, the last.
fn thinned(run: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for pixel in run.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        if pixel.len() <= 4 {
            points.extend_from_slice(pixel);
            continue;
        }
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let mut four =
            [pixel.first(), pixel.iter().min_by(by_height), pixel.iter().max_by(by_height), pixel.last()]
                .map(|point| point.copied().unwrap_or_default());
        four.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.extend(four);
    }
    points
}

fn axes(out: &mut String, times: (f64, f64), values: (f64, f64), units: &str) {
    let (ticks_x, decimals_x) = ticks(times, 8);
    for tick in ticks_x {
        let x = LEFT + (tick - times.0) / (times.1 - times.0) * (RIGHT - LEFT);
        let _ = writeln!(
            out,
            "<path d=\"M{x:.2} {TOP}V{BOTTOM}\" stroke=\"#ddd\"/><text x=\"{x:.2}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 18.0,
            number(tick, decimals_x)
        );
    }
    let (ticks_y, decimals_y) = ticks(values, 6);
    for tick in ticks_y {
        let y = BOTTOM - (tick - values.0) / (values.1 - values.0) * (BOTTOM - TOP);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {y:.2}H{RIGHT}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.2}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            number(tick, decimals_y)
        );
    }
    let _ = writeln!(out, "<path d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\" stroke=\"black\" fill=\"none\"/>");
    let middle = (LEFT + RIGHT) / 2.0;
    let _ =
        writeln!(out, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">time / s</text>", BOTTOM + 40.0);
    let what = if units.is_empty() { "value".into() } else { format!("value / {}", escaped(units)) };
    let middle = (TOP + BOTTOM) / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"20\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 20 {middle})\">{what}</text>"
    );
}

fn legend(out: &mut String, labels: &[String]) {
    let mut x = LEFT;
    for (channel, label) in labels.iter().enumerate() {
        let colour = COLOURS[channel % COLOURS.len()];
        let _ = writeln!(out, "<text x=\"{x}\" y=\"40\" fill=\"{colour}\">{}</text>", escaped(label));
        x += 8.0 * (label.chars().count() as f64 + 2.0);
    }
}

/// Text that means nothing but itself.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_be_markup() {
        assert_eq!(escaped("a<b>&\"c\"\u{1b}"), "a&lt;b&gt;&amp;&quot;c&quot; ");
    }

    #[test]
    fn few_points_stay_and_many_keep_their_extremes() {
        let few: Vec<_> = (0..50).map(|i| (f64::from(i) * 0.5, 1.0)).collect();
        assert_eq!(thinned(&few), few);
        let many: Vec<_> = (0..1000).map(|i| (f64::from(i) / 500.0, f64::from((i * 7919) % 1000))).collect();
        let points = thinned(&many);
        assert_eq!(points.len(), 8);
        let height =
            |pick: fn(f64, f64) -> f64, points: &[(f64, f64)]| points.iter().map(|p| p.1).reduce(pick);
        assert_eq!(height(f64::max, &points), Some(999.0));
        assert_eq!(height(f64::min, &points), Some(0.0));
    }
}
