//! The `lacuna` command as its users meet it: arguments in; stdout, stderr, exit status and files out.

mod cli;
