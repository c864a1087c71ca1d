//! Every metric, once. Labels come from closed sets only; never a resource's name.

use std::sync::LazyLock;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// The metrics of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    cloud: String,
    service: String,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    cloud: String,
    service: String,
}

/// All metrics and the registry that prints them.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    cloud_requests: Family<RequestLabels, Counter>,
    cloud_throttles: Family<ServiceLabels, Counter>,
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("driftwarden");
        let cloud_requests = Family::default();
        registry.register("cloud_requests", "Requests to clouds", cloud_requests.clone());
        let cloud_throttles = Family::default();
        registry.register("cloud_throttles", "Answers that asked to slow down", cloud_throttles.clone());
        Self { registry: Mutex::new(registry), cloud_requests, cloud_throttles }
    }

    pub(super) fn cloud_request(&self, cloud: &str, service: &str, code: u16) {
        let labels = RequestLabels { cloud: cloud.to_owned(), service: service.to_owned(), code };
        self.cloud_requests.get_or_create_owned(&labels).inc();
    }

    pub(super) fn cloud_throttle(&self, cloud: &str, service: &str) {
        let labels = ServiceLabels { cloud: cloud.to_owned(), service: service.to_owned() };
        self.cloud_throttles.get_or_create_owned(&labels).inc();
    }

    /// Returns everything in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }
}
