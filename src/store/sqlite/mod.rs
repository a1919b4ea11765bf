//! Stand-in: the SQLite backend is built on a branch of its own.
