//! Plots as SVG: panels side by side, both axes logarithmic.

#[cfg(test)]
mod tests;

/// A plot in the picture.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) lines: Vec<Line>,
}

/// A line in a panel; every coordinate is at least 1.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 50.0;
/// Told apart by colour and by dashes.
const STYLES: [&str; 3] =
    ["stroke=\"#1b6ca8\"", "stroke=\"#b5541c\" stroke-dasharray=\"6 3\"", "stroke=\"#3c7a3c\" stroke-dasharray=\"2 3\""];

/// Decades from 1 to the one that holds the largest value.
struct Axis {
    decades: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Axis {
        Axis { decades: values.fold(10.0, f64::max).log10().ceil() }
    }

    /// 0 to 1.
    fn place(&self, value: f64) -> f64 {
        value.max(1.0).log10() / self.decades
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let last = self.decades;
        (0u8..).map(f64::from).take_while(move |decade| *decade <= last).map(|decade| 10f64.powf(decade))
    }
}

/// The whole picture.
pub(super) fn svg(panels: &[Panel]) -> String {
    let mut left = 0.0;
    let mut body = String::new();
    for each in panels {
        body.push_str(&panel(each, left));
        left += WIDTH;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {left} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{left}\" height=\"{HEIGHT}\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn panel(panel: &Panel, left: f64) -> String {
    let values = |part: fn(&(f64, f64)) -> f64| panel.lines.iter().flat_map(|line| &line.points).map(part);
    let (across, up) = (Axis::of(values(|point| point.0)), Axis::of(values(|point| point.1)));
    let x = |value: f64| left + MARGIN + across.place(value) * (WIDTH - 2.0 * MARGIN);
    let y = |value: f64| HEIGHT - MARGIN - up.place(value) * (HEIGHT - 2.0 * MARGIN);
    let mut out = format!("<text x=\"{:.0}\" y=\"20\" font-size=\"13\">{}</text>\n", left + MARGIN, panel.title);
    for tick in across.ticks() {
        out.push_str(&rule(x(tick), y(1.0), x(tick), MARGIN));
        out.push_str(&format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>\n", x(tick), y(1.0) + 15.0));
    }
    for tick in up.ticks() {
        out.push_str(&rule(x(1.0), y(tick), left + WIDTH - MARGIN, y(tick)));
        out.push_str(&format!("<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>\n", x(1.0) - 5.0, y(tick) + 4.0));
    }
    let mut legend = 38.0;
    for (line, style) in panel.lines.iter().zip(STYLES.iter().cycle()) {
        let points: Vec<String> = line.points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        out.push_str(&format!("<polyline points=\"{}\" fill=\"none\" {style} stroke-width=\"2\"/>\n", points.join(" ")));
        let (from, to) = (left + WIDTH - 190.0, left + WIDTH - 165.0);
        out.push_str(&format!("<path d=\"M{from} {legend}H{to}\" {style} stroke-width=\"2\"/>\n"));
        out.push_str(&format!("<text x=\"{}\" y=\"{}\">{}</text>\n", to + 6.0, legend + 4.0, line.name));
        legend += 14.0;
    }
    out
}

fn rule(x: f64, y: f64, to_x: f64, to_y: f64) -> String {
    format!("<path d=\"M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}\" stroke=\"#dddddd\"/>\n")
}
