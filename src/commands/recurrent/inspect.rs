//! `lacuna inspect` of a container with a recurrent network.

use crate::commands::inspect::{arch_text, memories};
use crate::term;
use anyhow::Result;
use lacuna_compress::inspect::{recurrent_tables, Filter};
use lacuna_compress::manifest::RecurrentModel;

/// Network, memories and program; with a filter or `all` what the memories hold, too.
pub fn print(model: &RecurrentModel, filter: &Filter, all: bool) -> Result<()> {
    if all || *filter != Filter::default() {
        return recurrent_tables(model, filter).iter().try_for_each(term::image_table);
    }
    let (arch, network) = (model.arch(), &model.network);
    term::line(format!("accelerator {:016x}\n{}", arch.hash(), arch_text(arch)))?;
    let order = if network.reverse { "its last step first" } else { "in the order of time" };
    term::line(format!(
        "a step: {} inputs (fraction length {}), {} outputs (fraction length {}); sequences are presented {order}\n",
        network.input_size, network.input_fraction, network.output_size, network.output_fraction
    ))?;
    let tables = recurrent_tables(model, filter);
    let of = |titles: &'static [&'static str]| tables.iter().filter(|t| titles.iter().any(|title| t.title.starts_with(title)));
    of(&["LSTM layers", "fully connected"]).try_for_each(term::image_table)?;
    memories(&model.image)?;
    of(&["program", "codebooks"]).try_for_each(term::image_table)
}
