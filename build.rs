//! Compiles what SQLite calls when it is first used: see `src/store/sqlite/log_writes.c`.

use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let source = "src/store/sqlite/log_writes.c";
    println!("cargo:rerun-if-changed={source}");
    let headers = env::var_os("DEP_SQLITE3_INCLUDE")
        .ok_or("libsqlite3-sys does not say where the header of its SQLite is")?;
    cc::Build::new()
        .file(source)
        .include(headers)
        .extra_warnings(true)
        .link_lib_modifier("+whole-archive")
        .compile("log_writes");
    Ok(())
}
