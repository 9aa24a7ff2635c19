//! Panics as values: what a tool that goes on after them makes of one.

use std::panic::{catch_unwind, AssertUnwindSafe};

/// What `work` returns, or the message of its panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
        text.unwrap_or_else(|| "a panic without words".into())
    })
}
