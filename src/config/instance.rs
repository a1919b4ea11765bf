//! `INSTANCE_ID`: what this replica is called.

use super::reader::Reader;

const NAME: &str = "INSTANCE_ID";
const LONGEST: usize = 128;

/// As set, else the host's name and the port.
pub(super) fn read(reader: &mut Reader<'_>, port: Option<u16>) -> Option<String> {
    let set = reader.optional(NAME, "1 to 128 visible ASCII characters", |text| {
        let fits = text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| text.to_owned())
    });
    let id = set.unwrap_or_else(|| format!("{}:{}", host_name(), port.unwrap_or_default()));
    reader.show(NAME, &id);
    Some(id)
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.chars().filter(char::is_ascii_graphic).take(LONGEST - 6).collect()
}
