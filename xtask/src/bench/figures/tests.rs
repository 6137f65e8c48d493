use super::*;

const BAR: Bar = Bar { rate_min: 3.0, cpu_max: Some(0.5), p99_max: None };

fn figure(rate: f64) -> Figure {
    Figure { rate: Some(rate), cpu_s_per_1000: Some(1.0), p50_ms: Some(2.0), p99_ms: Some(4.0), ..Figure::default() }
}

#[test]
fn the_ratio_is_the_median_of_the_pairs_not_the_ratio_of_the_medians() {
    let pairs = vec![(figure(10.0), figure(1.0)), (figure(20.0), figure(10.0)), (figure(30.0), figure(10.0))];
    let report = Report::of_pairs("row", "what", BAR, pairs);
    assert_eq!(report.rate_ratio, Some(3.0));
    assert_eq!(report.posthouse.unwrap().rate, Some(20.0));
    assert_eq!(report.p99_ratio, Some(1.0));
}

#[test]
fn a_bar_is_missed_when_one_of_its_parts_is() {
    let pair = |ours: Figure| vec![(ours, figure(10.0))];
    let cheap = Figure { cpu_s_per_1000: Some(0.5), ..figure(30.0) };
    assert_eq!(Report::of_pairs("row", "what", BAR, pair(cheap)).met, Some(true));
    assert_eq!(Report::of_pairs("row", "what", BAR, pair(figure(30.0))).met, Some(false));
    assert_eq!(Report::of_pairs("row", "what", BAR, pair(Figure { rate: Some(29.0), ..cheap })).met, Some(false));
    assert_eq!(Report::of_pairs("row", "what", BAR, pair(Figure { cpu_s_per_1000: None, ..cheap })).met, Some(false));
}

#[test]
fn an_object_of_json_has_the_fields_that_were_promised() {
    let report = Report::of_pairs("row", "what", BAR, vec![(figure(30.0), figure(10.0))]).with("of_ceiling", 0.5);
    let object: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    for field in ["row", "posthouse", "postfix", "rate_ratio", "cpu_ratio", "bar", "met", "of_ceiling"] {
        assert!(object.get(field).is_some(), "{field}");
    }
    for field in ["rate", "cpu_s_per_1000", "p50_ms", "p99_ms", "rss_mb"] {
        assert!(object["posthouse"].get(field).is_some(), "{field}");
    }
}

#[test]
fn the_median_of_an_even_number_lies_between() {
    assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
    assert_eq!(median(Vec::new()), None);
}
