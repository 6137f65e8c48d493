use super::*;

#[test]
fn a_tenfold_value_is_one_decade_further() {
    let axis = Axis::of([1.0, 950.0].into_iter());
    assert_eq!(axis.ticks().collect::<Vec<_>>(), [1.0, 10.0, 100.0, 1000.0]);
    assert!((axis.place(100.0) - axis.place(10.0) - 1.0 / 3.0).abs() < 1e-9);
}

#[test]
fn every_point_lies_inside_its_panel() {
    let lines = vec![Line { name: "a", points: vec![(1.0, 1.0), (1_000_000.0, 20_000.0)] }];
    let picture = svg(&[Panel { title: "t", lines }]);
    let points = picture.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
    for point in points.split(' ') {
        let (x, y) = point.split_once(',').unwrap();
        assert!((MARGIN..=WIDTH - MARGIN).contains(&x.parse().unwrap()), "{point}");
        assert!((MARGIN..=HEIGHT - MARGIN).contains(&y.parse().unwrap()), "{point}");
    }
}
