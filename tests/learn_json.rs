//! The JSON of `perms learn` and `perms why` is as docs/schema/learn.schema.json says, over all samples.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

mod support;

use std::path::PathBuf;

use perms::denials::{Options, input, read};
use perms::learn;

#[test]
fn every_report_is_as_the_schema_says() {
    let schema = support::schema::read("learn");
    let mut seen = 0;
    for entry in std::fs::read_dir("audit-samples").unwrap() {
        let dir = entry.unwrap().path();
        let Some(log) = ["log", "log.gz"].map(|l| dir.join(l)).into_iter().find(|l| l.is_file()) else {
            continue;
        };
        let (sources, _) = input::sources(&[log, PathBuf::from("/nonexistent")]);
        let log = read(&sources, None, Options::default());
        assert_eq!(log.errors.len(), 1);
        let lesson = learn::learn(&log, &[], &learn::Options { xperms: true, ..Default::default() });
        let report =
            serde_json::to_value(learn::json::report("learn", &lesson, &[vec!["a.te".into()]])).unwrap();
        support::schema::check(&schema, &report, &dir.display().to_string());
        seen += 1;
    }
    assert!(seen > 60);
}
