use std::time::Duration;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// Label names and values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A metric with a value for each combination of labels.
pub(super) struct Family(MetricFamily);

impl Family {
    /// A number that only grows.
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    /// A number that goes up and down.
    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    /// How often something took how long.
    pub(super) fn histogram(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(format!("dittofs_{name}"));
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Self(family)
    }

    /// With a value.
    #[allow(clippy::cast_precision_loss)] // the text format has no other numbers; they are exact up to 2^53
    pub(super) fn with(self, labels: Labels<'_>, value: u64) -> Self {
        self.with_float(labels, value as f64)
    }

    /// With a value for each type of delegation.
    pub(super) fn with_each<'a>(self, types: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        types.into_iter().fold(self, |family, (kind, value)| family.with(&[("type", kind)], value))
    }

    /// With what a histogram counted: how often a duration was up to each of the bounds (and, behind these, longer), and how long all
    /// took together.
    pub(super) fn with_buckets(
        mut self,
        labels: Labels<'_>,
        bounds: &[Duration],
        counts: &[u64],
        total: Duration,
    ) -> Self {
        let mut histogram = Histogram::default();
        let cumulative = counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        let buckets = bounds.iter().zip(cumulative).map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound.as_secs_f64());
            bucket.set_cumulative_count(count);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(total.as_secs_f64());
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_histogram(histogram);
        self.0.mut_metric().push(metric);
        self
    }

    /// Whether it has no values.
    pub(super) fn is_empty(&self) -> bool {
        self.0.get_metric().is_empty()
    }

    fn with_float(mut self, labels: Labels<'_>, value: f64) -> Self {
        let mut metric = Metric::from_label(pairs(labels));
        if self.0.get_field_type() == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.0.mut_metric().push(metric);
        self
    }
}

impl From<Family> for MetricFamily {
    fn from(family: Family) -> Self {
        family.0
    }
}

fn pairs(labels: Labels<'_>) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}
