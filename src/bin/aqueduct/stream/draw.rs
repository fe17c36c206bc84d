//! A plot of a window in a terminal: dots of Braille, two across and four down in each character.

use super::window::{Window, number, ticks, widened};

/// What a character of no dots is.
const BLANK: u32 = 0x2800;
/// The bits of a character's dots, by column and row.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

struct Canvas {
    width: usize,
    height: usize,
    dots: Vec<u32>,
    /// The channel that was drawn last there, for its colour.
    channel: Vec<usize>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, dots: vec![0; width * height], channel: vec![0; width * height] }
    }

    fn dot(&mut self, x: usize, y: usize, channel: usize) {
        let (x, y) = (x.min(2 * self.width - 1), y.min(4 * self.height - 1));
        let at = y / 4 * self.width + x / 2;
        self.dots[at] |= DOTS[x % 2][y % 4];
        self.channel[at] = channel;
    }

    /// From one dot to another.
    fn line(&mut self, from: (usize, usize), to: (usize, usize), channel: usize) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |a: usize, b: usize, i: usize| {
            (a as f64 + (b as f64 - a as f64) * i as f64 / steps as f64).round() as usize
        };
        for i in 0..=steps {
            self.dot(between(from.0, to.0, i), between(from.1, to.1, i), channel);
        }
    }

    fn row(&self, row: usize, colours: bool) -> String {
        let (mut text, mut colour) = (String::new(), None);
        for at in row * self.width..(row + 1) * self.width {
            let wanted = (colours && self.dots[at] != 0).then_some(self.channel[at]);
            if wanted.is_some() && wanted != colour {
                text += &escape(self.channel[at]);
                colour = wanted;
            }
            text.push(char::from_u32(BLANK | self.dots[at]).unwrap_or(' '));
        }
        if colour.is_some() {
            text += RESET;
        }
        text
    }
}

const RESET: &str = "\x1b[0m";

/// The colour of a channel: cyan, yellow, green, magenta, red, blue.
fn escape(channel: usize) -> String {
    format!("\x1b[{}m", [36, 33, 32, 35, 31, 34][channel % 6])
}

/// The lines of a plot that is `width` characters wide and `height` lines high, with its axes and names.
pub fn lines(
    window: &Window,
    labels: &[String],
    units: &str,
    (width, height): (usize, usize),
    colours: bool,
) -> Vec<String> {
    let Some(range) = window.range().map(widened) else { return vec!["no values".into()] };
    let rows = height.saturating_sub(3).clamp(2, 200);
    let (_, decimals) = ticks(range, rows);
    let (top, bottom) = (number(range.1, decimals + 1), number(range.0, decimals + 1));
    let margin = top.len().max(bottom.len());
    let across = width.saturating_sub(margin + 2).clamp(10, 1000);
    let mut canvas = Canvas::new(across, rows);
    let (dots_x, dots_y) = ((2 * across - 1) as f64, (4 * rows - 1) as f64);
    let last = window.len().saturating_sub(1).max(1) as f64;
    for (channel, values) in window.values().iter().enumerate() {
        let mut before = None;
        for (i, value) in values.iter().enumerate() {
            if !value.is_finite() {
                before = None;
                continue;
            }
            let x = (i as f64 / last * dots_x).round() as usize;
            let y = ((range.1 - value) / (range.1 - range.0) * dots_y).round() as usize;
            canvas.line(before.unwrap_or((x, y)), (x, y), channel);
            before = Some((x, y));
        }
    }
    let mut lines = Vec::with_capacity(rows + 3);
    for row in 0..rows {
        let label = match row {
            0 => &top,
            _ if row == rows - 1 => &bottom,
            _ => "",
        };
        lines.push(format!("{label:>margin$} │{}", canvas.row(row, colours)));
    }
    lines.push(format!("{:margin$} └{}", "", "─".repeat(across)));
    let (from, to) = window.times();
    let (_, decimals) = ticks((from, to), 10);
    let (from, to) = (number(from, decimals), format!("{} s", number(to, decimals)));
    let between = across.saturating_sub(from.len()).max(to.len() + 1);
    lines.push(format!("{:margin$}  {from}{to:>between$}", ""));
    let name = |(channel, label): (usize, &String)| match colours {
        true => format!("{}{label}{RESET}", escape(channel)),
        false => label.clone(),
    };
    let names: Vec<String> = labels.iter().enumerate().map(name).collect();
    let units = if units.is_empty() { String::new() } else { format!(" / {units}") };
    lines.push(format!("{:margin$}  {}{units}", "", names.join(" ")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::columns::columns;
    use aqueduct::signal::array::Layout;
    use aqueduct::signal::chunk::Chunk;
    use aqueduct::signal::input::Received;
    use aqueduct::signal::params::Params;

    fn window(values: &[u8], gap_before: u64) -> Window {
        let params = Params::from_json(r#"{"dtype":"|u1","sample_rate":10}"#).unwrap();
        let (columns, _) = columns(&params, None, 1).unwrap();
        let mut window = Window::new(&params, 1, 100);
        for (start, values, gap) in
            [(0, &values[..1], 0..0), (1 + gap_before, &values[1..], 1..1 + gap_before)]
        {
            let layout = Layout::c_order(1, &[values.len(), 1]).unwrap();
            let chunk = Chunk { index: start + values.len() as u64, layout, data: values.to_vec().into() };
            window.push(&Received { chunk, gap }, &columns).unwrap();
        }
        window
    }

    #[test]
    fn a_rising_line() {
        let rising: Vec<u8> = (0..20).collect();
        let expected = "\
19.0 │⠀⠀⠀⠀⠀⠀⢀⡠⠔⠊
     │⠀⠀⠀⢀⠤⠒⠁⠀⠀⠀
 0.0 │⡠⠔⠊⠁⠀⠀⠀⠀⠀⠀
     └──────────
      0.0  1.9 s
      0 / mV";
        let lines = lines(&window(&rising, 0), &["0".into()], "mV", (16, 6), false);
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn a_gap_is_a_break() {
        // One value at either end, nothing between them.
        let lines = lines(&window(&[0, 10], 18), &["0".into()], "", (16, 5), true);
        let dots: String =
            lines[..2].join("").chars().filter(|&c| ('\u{2801}'..='\u{28ff}').contains(&c)).collect();
        assert_eq!(dots.chars().count(), 2, "{lines:?}");
        assert!(lines[0].contains("\x1b[36m⠈\x1b[0m") && lines[1].contains("\x1b[36m⡀"), "{lines:?}");
        assert!(lines[4].ends_with("\x1b[36m0\x1b[0m"));
    }
}
