//! Training: networks as variables of a tensor library, optimizers, loops with checkpoints, pruning with retraining, and
//! weight sharing with tuned centroids. Everything random comes from a seed.

pub mod checkpoint;
pub mod optimize;
pub mod progress;
pub mod schedule;
pub mod slices;
