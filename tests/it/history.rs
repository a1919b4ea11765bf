//! History: what is kept of the past, on a clock that the tests set, and everything taken out
//! and put back.

mod command_line;
mod counting;
mod keeping;
mod moving;
mod over_http;
mod round_trip;
