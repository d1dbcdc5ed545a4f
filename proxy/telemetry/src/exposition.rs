use std::collections::BTreeMap;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType,
};
use prometheus::{Encoder as _, TextEncoder};

use crate::HistogramSnapshot;
use crate::catalogue::{Kind, Metric};

/// One scrape: values are put in under a metric of the catalogue and come out as text (Prometheus
/// exposition format 0.0.4).
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<&'static str, MetricFamily>,
}

impl Exposition {
    /// Adds one value; `labels` are the values of the metric's labels in the catalogue's order.
    #[expect(clippy::cast_precision_loss, reason = "exact to 2^53, which no count reaches")]
    pub fn add(&mut self, metric: &'static Metric, labels: &[&str], value: u64) {
        self.add_float(metric, labels, value as f64);
    }

    pub fn add_float(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        let mut sample = sample(metric, labels);
        match metric.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
        }
        self.push(metric, sample);
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum of microseconds, read as seconds")]
    pub fn add_histogram(&mut self, metric: &'static Metric, labels: &[&str], value: &HistogramSnapshot) {
        let mut histogram = Histogram::default();
        let buckets = value.cumulative().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(value.count());
        histogram.set_sample_sum(value.sum_us as f64 / 1e6);
        let mut sample = sample(metric, labels);
        sample.set_histogram(histogram);
        self.push(metric, sample);
    }

    fn push(&mut self, metric: &'static Metric, sample: Sample) {
        let family = self.families.entry(metric.name).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(metric.name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(match metric.kind {
                Kind::Counter => MetricType::COUNTER,
                Kind::Gauge => MetricType::GAUGE,
                Kind::Histogram => MetricType::HISTOGRAM,
            });
            family
        });
        family.mut_metric().push(sample);
    }

    pub fn encode(self) -> String {
        let families: Vec<MetricFamily> = self.families.into_values().collect();
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            // Only a family without samples is refused, and none is made without one.
            tracing::error!(%error, "metrics could not be written");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

fn sample(metric: &'static Metric, labels: &[&str]) -> Sample {
    debug_assert_eq!(metric.labels.len(), labels.len(), "{} has other labels", metric.name);
    let pairs = metric.labels.iter().zip(labels).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    let mut sample = Sample::default();
    sample.set_label(pairs.collect());
    sample
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn values_come_out_in_the_text_format_with_labels_escaped() {
        let mut exposition = Exposition::default();
        exposition.add(&catalogue::CONFIG_GENERATION, &[], 3);
        exposition.add(&catalogue::REQUESTS, &["GET /a\"b", "legacy", "GET", "2xx"], 7);
        let text = exposition.encode();
        assert!(text.contains("# TYPE starve_requests_total counter"), "{text}");
        assert!(
            text.contains(
                r#"starve_requests_total{route="GET /a\"b",side="legacy",method="GET",code="2xx"} 7"#
            ),
            "{text}"
        );
        assert!(text.contains("starve_config_generation 3"), "{text}");
    }

    #[test]
    fn histograms_are_cumulative() {
        let mut value = HistogramSnapshot::default();
        value.buckets[0] = 2;
        value.buckets[32] = 1;
        value.sum_us = 1_500_000;
        let mut exposition = Exposition::default();
        exposition.add_histogram(&catalogue::REQUEST_DURATION, &["r", "legacy"], &value);
        let text = exposition.encode();
        assert!(text.contains(r#"_bucket{route="r",side="legacy",le="10"} 2"#), "{text}");
        assert!(text.contains(r#"_bucket{route="r",side="legacy",le="+Inf"} 3"#), "{text}");
        assert!(text.contains(r#"_sum{route="r",side="legacy"} 1.5"#), "{text}");
    }
}
