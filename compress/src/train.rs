//! Training: networks as variables of a tensor library, optimizers, loops with checkpoints, pruning with retraining, and
//! weight sharing with tuned centroids. Everything random comes from a seed.

pub mod checkpoint;
pub mod classify;
pub mod data;
pub mod export;
pub mod fit;
pub mod language;
pub mod loss;
pub mod lstm;
pub mod masks;
pub mod network;
pub mod optimize;
pub mod patches;
pub mod products;
pub mod progress;
pub mod rename;
pub mod retrain;
pub mod schedule;
pub mod share;
pub mod slices;
pub mod text;
pub mod units;
