use super::*;

fn figure(rate: f64) -> Figure {
    Figure { rate, cpu_per_1000: 1.0, p50_ms: 2.0, p99_ms: 4.0 }
}

#[test]
fn the_ratio_is_the_median_of_the_pairs_not_the_ratio_of_the_medians() {
    let pairs = vec![(figure(10.0), figure(1.0)), (figure(20.0), figure(10.0)), (figure(30.0), figure(10.0))];
    let report = Report::new("row", "what", pairs);
    assert!((report.ratios.rate - 3.0).abs() < 1e-9, "{}", report.ratios.rate);
    assert!((report.posthouse.rate - 20.0).abs() < 1e-9);
    assert!((report.ratios.p99_ms - 1.0).abs() < 1e-9);
}

#[test]
fn the_median_of_an_even_number_lies_between() {
    assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
    assert!(median(Vec::new()).is_nan());
}
