//! The handlers, one file a resource. Who may call them stands in the route table.

pub mod alerts;
pub mod auth;
pub mod entries;
pub mod health;
pub mod knowledge;
pub mod mcp;
pub mod openapi;
pub mod page;
pub mod persistence;
mod precondition;
pub mod webhook;
