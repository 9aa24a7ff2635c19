//! A module that takes the place of an emitted one: the same name, ports and parameters, and something else inside.

use anyhow::{Context, Result};
use lacuna_hdl::verilog::Module;

/// How an emitted module looks from outside.
pub struct Outside<'a> {
    module: &'a Module,
    /// From `module` to the last port.
    head: &'a str,
    pub ports: Vec<String>,
    pub parameters: Vec<String>,
}

impl<'a> Outside<'a> {
    pub fn of(module: &'a Module) -> Result<Outside<'a>> {
        let shape = |what: &str| format!("{}: expected the emitted module to have {what}", module.name);
        let from = module.text.find(&format!("module {}", module.name)).with_context(|| shape("its name"))?;
        let length = module.text[from..].find("\n);").with_context(|| shape("a list of ports, a line each"))?;
        let head = &module.text[from..from + length];
        let is_port = |line: &&str| ["input ", "output "].iter().any(|kind| line.trim().starts_with(kind));
        let last_word = |line: &str| line.trim().trim_end_matches(',').split_whitespace().last().map(String::from);
        let first_word = |text: &str| text.split_whitespace().next().map(String::from);
        Ok(Outside {
            module,
            head,
            ports: head.lines().filter(is_port).filter_map(last_word).collect(),
            parameters: head.lines().filter_map(|line| line.trim().strip_prefix("parameter ")).filter_map(first_word).collect(),
        })
    }

    /// The module with this body.
    pub fn with(&self, body: &str) -> String {
        format!("{}\n);\n{body}endmodule\n", self.head.replace("output reg ", "output wire "))
    }

    /// The original under another name.
    pub fn renamed(&self, name: &str) -> String {
        self.module.text.replacen(&format!("module {}", self.module.name), &format!("module {name}"), 1)
    }
}

/// `.name(signal), ...` of names that are signals too.
pub fn connected(names: &[String]) -> String {
    names.iter().map(|name| format!(".{name}({name})")).collect::<Vec<_>>().join(", ")
}
