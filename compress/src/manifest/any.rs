//! A compiled model of either kind: which one a container holds, its manifest says.

use super::{Model, RecurrentModel};
use crate::error::Error;
use crate::spec::container;
use crate::spec::{Arch, MemoryImage};

#[derive(Clone, Debug, PartialEq)]
pub enum AnyModel {
    Layers(Model),
    Recurrent(RecurrentModel),
}

impl AnyModel {
    /// The kinds in messages.
    pub const LAYERS: &'static str = "a network of fully connected layers";
    pub const RECURRENT: &'static str = "a recurrent network (LSTM)";

    /// Reads a container. Errors: those of [`Model::from_container`] and [`RecurrentModel::from_container`].
    pub fn from_container(bytes: &[u8]) -> Result<AnyModel, Error> {
        let contents = container::read(bytes)?;
        let tables: toml::Table = toml::from_str(&contents.manifest).map_err(|e| Error::Manifest(e.to_string()))?;
        match (tables.contains_key("network"), tables.contains_key("recurrent")) {
            (true, false) => Model::from_contents(contents).map(AnyModel::Layers),
            (false, true) => RecurrentModel::from_contents(contents).map(AnyModel::Recurrent),
            (network, _) => {
                let found = if network { "both" } else { "neither" };
                Err(Error::Manifest(format!("found {found} of the tables network and recurrent, expected one")))
            }
        }
    }

    /// The bytes of a container.
    pub fn to_container(&self) -> Result<Vec<u8>, Error> {
        match self {
            AnyModel::Layers(model) => model.to_container(),
            AnyModel::Recurrent(model) => model.to_container(),
        }
    }

    pub fn image(&self) -> &MemoryImage {
        match self {
            AnyModel::Layers(model) => &model.image,
            AnyModel::Recurrent(model) => &model.image,
        }
    }
    pub fn arch(&self) -> &Arch {
        &self.image().arch
    }
    /// The kind, for a sentence.
    pub fn kind(&self) -> &'static str {
        match self {
            AnyModel::Layers(_) => AnyModel::LAYERS,
            AnyModel::Recurrent(_) => AnyModel::RECURRENT,
        }
    }
}
