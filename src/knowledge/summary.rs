//! The page that dashboards poll: rendered once per change, served from memory.
//!
//! The page is public, so it shows entries briefly: no description, cause or solution.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{freshness::Freshness, state::State, stats::Stats};
use crate::model::{Category, Entry, Severity, Time, epoch_ms};

const TOP: usize = 5;
const TOP_TAGS: usize = 50;

/// The page as it is sent.
#[derive(Clone, Debug)]
pub struct RenderedSummary {
    /// The JSON.
    pub body: Bytes,
    /// A strong validator over the body, quotes included.
    pub etag: String,
}

/// Alerts as the summary counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertActivity {
    /// How many fire now.
    pub firing: u64,
    /// How many were received within the last 24 hours.
    pub last24_hours: u64,
}

/// An entry as the public page shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Brief<'a> {
    id: &'a str,
    title: &'a str,
    category: Category,
    severity: Severity,
    tags: &'a [String],
    occurrences: i64,
    #[serde(with = "epoch_ms")]
    #[schema(value_type = i64)]
    first_seen: Time,
    #[serde(with = "epoch_ms")]
    #[schema(value_type = i64)]
    last_updated: Time,
}

impl<'a> Brief<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            id: &entry.id,
            title: &entry.title,
            category: entry.category,
            severity: entry.severity,
            tags: &entry.tags,
            occurrences: entry.occurrences(),
            first_seen: entry.first_seen,
            last_updated: entry.last_updated(),
        }
    }
}

/// The page's form.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary<'a> {
    last_updated: Option<String>,
    stats: StatsView<'a>,
    network_stats: NetworkView<'a>,
    top_issues: Vec<Brief<'a>>,
    recent_learnings: Vec<Brief<'a>>,
    open_questions: Vec<OpenQuestion<'a>>,
    alerts: AlertActivity,
    diagnostics: Diagnostics<'a>,
}

/// Entries, counted.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct StatsView<'a> {
    total: usize,
    by_category: BTreeMap<&'static str, usize>,
    by_severity: BTreeMap<&'static str, usize>,
    by_tag: BTreeMap<&'a str, i64>,
    open_questions: usize,
    recent_updates: Vec<Brief<'a>>,
    critical_entries: Vec<Brief<'a>>,
}

/// Concepts (tags) and how they hang together.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct NetworkView<'a> {
    total_concepts: usize,
    total_links: usize,
    avg_connectivity: f64,
    most_connected: Vec<Connected<'a>>,
    /// Kept for the old dashboards; the old orchestrator never filled it either.
    densest_areas: [&'static str; 0],
}

/// A concept and how many others it stands with.
#[derive(Serialize, utoipa::ToSchema)]
struct Connected<'a> {
    name: &'a str,
    connections: i64,
}

/// A question that nothing answers yet.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct OpenQuestion<'a> {
    query: &'a str,
    occurrences: i64,
    last_asked: String,
}

/// How good the knowledge is.
#[derive(Serialize, utoipa::ToSchema)]
struct Diagnostics<'a> {
    freshness: Freshness,
    provenance: ProvenanceView<'a>,
}

/// Where entries are from.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProvenanceView<'a> {
    total_entries: usize,
    unknown_provenance_count: usize,
    by_source_type: BTreeMap<&'static str, usize>,
    /// By kind: the page is public, so it names no key and no file.
    by_source_model: &'a BTreeMap<&'static str, usize>,
    derived_from: &'a BTreeMap<&'static str, usize>,
}

/// Renders the page; its cost does not grow with the number of entries.
///
/// # Errors
/// Only of defects.
pub fn render(state: &State, now: Time) -> serde_json::Result<RenderedSummary> {
    let body = serde_json::to_vec(&page(state, now))?;
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
    Ok(RenderedSummary { body: body.into(), etag })
}

fn page(state: &State, now: Time) -> Summary<'_> {
    let stats = &state.stats;
    let entry = |id: &str| state.get(id);
    let freshness = stats.freshness(now);
    Summary {
        last_updated: freshness.latest_entry_updated_at.clone(),
        stats: StatsView {
            total: stats.total(),
            by_category: counts(stats.by_category(), Category::as_str),
            by_severity: counts(stats.by_severity(), Severity::as_str),
            by_tag: stats.top_tags(TOP_TAGS).collect(),
            open_questions: stats.open_questions(),
            recent_updates: briefs(stats.last_updated(TOP), &entry),
            critical_entries: briefs(stats.critical(TOP), &entry),
        },
        network_stats: network(stats),
        top_issues: briefs(stats.most_frequent(TOP), &entry),
        recent_learnings: briefs(stats.last_learned(TOP), &entry),
        open_questions: stats
            .most_asked(TOP)
            .filter_map(entry)
            .map(|question| OpenQuestion {
                query: &question.title,
                occurrences: question.occurrences(),
                last_asked: question.last_updated().to_string(),
            })
            .collect(),
        alerts: state.alerts,
        diagnostics: Diagnostics {
            freshness,
            provenance: ProvenanceView {
                total_entries: stats.total(),
                unknown_provenance_count: stats.unknown_provenance(),
                by_source_type: counts(stats.by_source_type(), |source| source.as_str()),
                by_source_model: stats.by_source_model(),
                derived_from: stats.derived_from(),
            },
        },
    }
}

fn network(stats: &Stats) -> NetworkView<'_> {
    let network = stats.network();
    let (concepts, links) = (network.concepts(), network.links());
    let mean = if concepts == 0 { 0.0 } else { 2.0 * links as f64 / concepts as f64 };
    NetworkView {
        total_concepts: concepts,
        total_links: links,
        avg_connectivity: (mean * 100.0).round() / 100.0,
        most_connected: network
            .most_connected(TOP)
            .map(|(name, connections)| Connected { name, connections })
            .collect(),
        densest_areas: [],
    }
}

fn briefs<'a>(
    ids: impl Iterator<Item = &'a str>,
    entry: &impl Fn(&str) -> Option<&'a Arc<Entry>>,
) -> Vec<Brief<'a>> {
    ids.filter_map(entry).map(|entry| Brief::of(entry)).collect()
}

fn counts<K: Copy>(
    counts: &BTreeMap<K, usize>,
    name: impl Fn(K) -> &'static str,
) -> BTreeMap<&'static str, usize> {
    counts.iter().map(|(key, count)| (name(*key), *count)).collect()
}
