//! Stored alerts in pages, the newest first: which are asked for, and what makes a page.
//!
//! Alerts are in the order of their first receipt; those of one fingerprint in the order of their
//! start, in which they are stored. A backend walks an index in that order from the place where
//! the page before ended and offers what it finds to a [`PageBuilder`], which decides once for
//! every store. What no index can tell (labels, a second word) is looked at alert by alert, so a
//! page has bounds besides its length: it may end early and still have a next one.

use std::ops::ControlFlow;

use crate::model::{Alert, Status, Time};

/// Alerts that are looked at for one page.
const EXAMINED: usize = 10_000;
/// What the texts of a page may take, in bytes; one alert is given whatever its size.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Which alerts are listed; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertFilter {
    /// Firing or resolved.
    pub status: Option<Status>,
    /// The label `alertname`.
    pub name: Option<String>,
    /// The severity as sent.
    pub severity: Option<String>,
    /// All of these labels.
    pub labels: Vec<(String, String)>,
    /// Identity of the label set.
    pub fingerprint: Option<String>,
    /// First received at or after this.
    pub from: Option<Time>,
    /// First received before this.
    pub until: Option<Time>,
}

impl AlertFilter {
    /// Whether an alert is asked for.
    pub fn admits(&self, alert: &Alert) -> bool {
        self.status.is_none_or(|status| alert.status == status)
            && self.name.as_ref().is_none_or(|name| alert.name == *name)
            && self.severity.as_ref().is_none_or(|severity| alert.severity == *severity)
            && self.labels.iter().all(|(name, value)| alert.labels.get(name) == Some(value))
            && self.fingerprint.as_ref().is_none_or(|of| alert.fingerprint == *of)
            && self.from.is_none_or(|from| alert.first_received >= from)
            && self.until.is_none_or(|until| alert.first_received < until)
    }

    /// The index that is walked.
    pub fn walk(&self) -> Walk<'_> {
        match (&self.fingerprint, &self.name, &self.severity, self.status) {
            (Some(fingerprint), ..) => Walk::Fingerprint(fingerprint),
            (_, Some(name), ..) => Walk::Name(name),
            (_, _, Some(severity), _) => Walk::Severity(severity),
            (_, _, _, Some(status)) => Walk::Status(status),
            _ => Walk::All,
        }
    }

    /// The statuses that are walked, each of which is a stretch of an index.
    pub fn statuses(&self) -> &[Status] {
        match &self.status {
            Some(status) => std::slice::from_ref(status),
            None => &Status::ALL,
        }
    }
}

/// The index that answers a filter, the most selective first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk<'a> {
    /// Fingerprint and start.
    Fingerprint(&'a str),
    /// Name, status and first receipt.
    Name(&'a str),
    /// Severity, status and first receipt.
    Severity(&'a str),
    /// Status and first receipt.
    Status(Status),
    /// First receipt.
    All,
}

/// Where an alert stands in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPosition {
    /// When it was first received; of one fingerprint, when it began.
    pub at: Time,
    /// What distinguishes alerts of one moment: a row or document of the store; of one
    /// fingerprint, nothing.
    pub tie: String,
}

/// A page of alerts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertPage {
    /// The alerts, the newest first.
    pub alerts: Vec<Alert>,
    /// Where the next page goes on, if there may be more.
    pub next: Option<ListPosition>,
}

/// Makes a page of what a backend finds.
pub struct PageBuilder<'a> {
    filter: &'a AlertFilter,
    limit: usize,
    alerts: Vec<Alert>,
    bytes: usize,
    examined: usize,
    last: Option<ListPosition>,
    more: bool,
}

impl<'a> PageBuilder<'a> {
    /// A page of up to `limit` alerts.
    pub fn new(filter: &'a AlertFilter, limit: usize) -> Self {
        Self { filter, limit, alerts: Vec::new(), bytes: 0, examined: 0, last: None, more: false }
    }

    /// Takes the next alert of the walk, if it is asked for; breaks once the page is full.
    pub fn offer(&mut self, alert: Alert, position: ListPosition) -> ControlFlow<()> {
        let admitted = self.filter.admits(&alert);
        if self.examined == EXAMINED || admitted && self.is_full() {
            self.more = true;
            return ControlFlow::Break(());
        }
        self.examined += 1;
        self.last = Some(position);
        if admitted {
            self.bytes += text_bytes(&alert);
            self.alerts.push(alert);
        }
        ControlFlow::Continue(())
    }

    fn is_full(&self) -> bool {
        self.alerts.len() >= self.limit || self.bytes >= PAGE_BYTES
    }

    /// The page.
    pub fn finish(self) -> AlertPage {
        AlertPage { alerts: self.alerts, next: self.last.filter(|_| self.more) }
    }
}

fn text_bytes(alert: &Alert) -> usize {
    let maps = alert.labels.iter().chain(alert.annotations.iter());
    alert.message.len() + maps.map(|(name, value)| name.len() + value.len()).sum::<usize>()
}
