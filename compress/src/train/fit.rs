//! One pass over the training samples: gradients of each batch, in shards that run side by side.

use super::data::{epoch_rng, order, Augment, Data, Labeled};
use super::network::{Dropout, Network};
use super::progress::Progress;
use super::slices;
use crate::error::Error;
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var, D};
use rayon::prelude::*;

/// The outputs of another network as targets.
pub struct Teacher<'a> {
    pub network: &'a Network,
    /// Of the loss, 0 to 1; the classes have the rest.
    pub share: f64,
    pub temperature: f64,
}

/// How to go over the samples.
pub struct Pass<'a> {
    pub seed: u64,
    /// Tells passes of the same seed apart.
    pub part: u64,
    pub batch: usize,
    pub augment: Option<Augment>,
    /// Of each layer; empty drops nothing.
    pub dropout: Vec<f64>,
    pub teacher: Option<Teacher<'a>>,
}

/// Shards of a batch. Their number does not depend on that of the threads, so that sums are the same with any.
fn shards(batch: usize) -> usize {
    match batch {
        0..=31 => 1,
        32..=255 => 2,
        _ => 4,
    }
}

/// The mean over `samples` of the cross entropy of (samples, classes) outputs with the classes' shares; outputs may be a part of
/// the samples.
fn cross_entropy(outputs: &Tensor, targets: &Tensor, samples: usize) -> Result<Tensor, Error> {
    let shifted = outputs.broadcast_sub(&outputs.max_keepdim(D::Minus1)?.detach())?;
    let log = shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    Ok(((log * targets)?.sum_all()? * (-1.0 / samples as f64))?)
}

fn softmax(outputs: &Tensor) -> Result<Tensor, Error> {
    let powers = outputs.broadcast_sub(&outputs.max_keepdim(D::Minus1)?)?.exp()?;
    Ok(powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?)
}

impl Pass<'_> {
    fn loss(&self, network: &Network, inputs: &Tensor, labels: &[u8], samples: usize, dropout: Option<Dropout>) -> Result<Tensor, Error> {
        let outputs = network.forward(inputs, dropout)?;
        let classes = outputs.dim(1)?;
        let mut targets = vec![0f32; labels.len() * classes];
        for (row, label) in targets.chunks_exact_mut(classes).zip(labels) {
            row[usize::from(*label)] = 1.0;
        }
        let loss = cross_entropy(&outputs, &Tensor::from_vec(targets, (labels.len(), classes), &Device::Cpu)?, samples)?;
        let Some(teacher) = &self.teacher else { return Ok(loss) };
        let soft = softmax(&(teacher.network.forward(inputs, None)?.detach() / teacher.temperature)?)?.detach();
        let distance = cross_entropy(&(outputs / teacher.temperature)?, &soft, samples)?;
        // gradients of soft targets shrink with the square of the temperature (Hinton et al. 2015)
        let distance = (distance * (teacher.share * teacher.temperature * teacher.temperature))?;
        Ok(((loss * (1.0 - teacher.share))? + distance)?)
    }

    /// The loss and the gradients of one batch.
    fn gradients(
        &self,
        network: &Network,
        vars: &[Var],
        data: &Labeled,
        which: &[u32],
        epoch: usize,
        step: u64,
    ) -> Result<(f64, GradStore), Error> {
        let size = which.len().div_ceil(shards(which.len()));
        let run = |(shard, part): (usize, &[u32])| -> Result<(f64, GradStore), Error> {
            let use_of = 1 + step * 8 + 2 * shard as u64;
            let (inputs, labels) = data.batch(part, self.augment.as_ref(), &mut epoch_rng(self.seed, self.part, epoch, use_of))?;
            let rng = || epoch_rng(self.seed, self.part, epoch, use_of + 1);
            let dropout = (!self.dropout.is_empty()).then(|| Dropout { shares: &self.dropout, rng: rng() });
            let loss = self.loss(network, &inputs, &labels, which.len(), dropout)?;
            Ok((f64::from(loss.to_scalar::<f32>()?), loss.backward()?))
        };
        let done: Vec<_> = which.par_chunks(size).enumerate().map(run).collect();
        let mut done = done.into_iter();
        let (mut loss, mut sum) = done.next().unwrap_or_else(|| Err(Error::Training("an empty batch".to_string())))?;
        for part in done {
            let (more, grads) = part?;
            loss += more;
            for var in vars {
                if let (Some(total), Some(grad)) = (sum.remove(var), grads.get(var)) {
                    let total = total.contiguous()?;
                    slices::read(grad, |grad| slices::change(&total, |total| total.iter_mut().zip(grad).for_each(|(t, g)| *t += g)))??;
                    sum.insert(var, total);
                }
            }
        }
        Ok((loss, sum))
    }

    /// Goes over the training samples once; `apply` gets each batch's number, the number of batches and the gradients.
    /// Returns the mean loss. Random numbers depend on `epoch` alone.
    pub fn epoch(
        &self,
        network: &Network,
        data: &Data,
        epoch: usize,
        progress: &mut dyn Progress,
        apply: &mut dyn FnMut(usize, usize, &mut GradStore) -> Result<(), Error>,
    ) -> Result<f64, Error> {
        let vars = network.vars();
        let order = order(data.train.samples.count, &mut epoch_rng(self.seed, self.part, epoch, 0));
        let steps = order.len().div_ceil(self.batch);
        let mut total = 0.0;
        for (step, which) in order.chunks(self.batch).enumerate() {
            let (loss, mut grads) = self.gradients(network, &vars, &data.train, which, epoch, step as u64)?;
            check_loss(loss, step)?;
            apply(step, steps, &mut grads)?;
            progress.step(step, loss);
            total += loss * which.len() as f64;
        }
        Ok(total / order.len() as f64)
    }
}

/// An error if training has diverged.
pub fn check_loss(loss: f64, step: usize) -> Result<(), Error> {
    match loss.is_finite() {
        true => Ok(()),
        false => Err(Error::Training(format!("the loss is {loss} in step {}: a lower rate may help", step + 1))),
    }
}

/// The share of samples whose largest output is not their class's.
pub fn error(network: &Network, data: &Labeled) -> Result<f64, Error> {
    const BLOCK: usize = 250;
    let starts: Vec<usize> = (0..data.samples.count).step_by(BLOCK).collect();
    let wrong = |start: &usize| -> Result<usize, Error> {
        let range = *start..(*start + BLOCK).min(data.samples.count);
        let outputs = network.forward(&data.tensor(range.clone())?, None)?;
        let classes = outputs.dim(1)?;
        let labels = &data.labels[range];
        slices::read(&outputs, |values| {
            let best = |row: &[f32]| (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
            values.chunks_exact(classes).zip(labels).filter(|(row, label)| best(row) != usize::from(**label)).count()
        })
    };
    let wrong = starts.par_iter().map(wrong).collect::<Result<Vec<usize>, Error>>()?;
    Ok(wrong.iter().sum::<usize>() as f64 / data.samples.count.max(1) as f64)
}

/// An error unless the network takes the samples and has an output for every class.
pub fn check(network: &crate::model::Dense, data: &Labeled) -> Result<(), Error> {
    let (inputs, outputs) = (network.inputs(), network.outputs());
    if inputs != data.samples.size {
        return Err(Error::Training(format!(
            "found samples of {} values, expected {inputs}, the inputs of the network",
            data.samples.size
        )));
    }
    match data.labels.iter().max() {
        Some(class) if usize::from(*class) >= outputs => {
            Err(Error::Training(format!("found class {class}, expected one of the {outputs} outputs of the network, from 0")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Activation, Dense, DenseLayer, Matrix};

    #[test]
    fn the_loss_is_shared_between_the_classes_and_the_teacher() {
        // outputs are the biases
        let network = |bias: Vec<f32>| {
            let weights = Matrix { rows: 3, columns: 1, data: vec![0.0; 3] };
            let layers = vec![DenseLayer { name: "a".into(), weights, bias, activation: Activation::None, conv: None }];
            Network::new(&Dense { layers }).unwrap()
        };
        let (student, master) = ([0.5f64, -1.0, 2.0], [3.0f64, 1.0, -2.0]);
        let of = |outputs: [f64; 3]| network(outputs.iter().map(|v| *v as f32).collect());
        let (learns, taught) = (of(student), of(master));
        let share = |outputs: [f64; 3], temperature: f64| {
            let powers = outputs.map(|v| (v / temperature).exp());
            powers.map(|p| p / powers.iter().sum::<f64>())
        };
        let inputs = Tensor::zeros((1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        for (part, temperature) in [(0.0, 2.0), (0.3, 1.0), (0.7, 4.0), (1.0, 2.0)] {
            let teacher = Some(Teacher { network: &taught, share: part, temperature });
            let pass = Pass { seed: 1, part: 0, batch: 1, augment: None, dropout: vec![], teacher };
            let found = pass.loss(&learns, &inputs, &[1], 1, None).unwrap().to_scalar::<f32>().unwrap();
            let hard = -share(student, 1.0)[1].ln();
            let (soft, now) = (share(master, temperature), share(student, temperature));
            let distance: f64 = soft.iter().zip(now).map(|(p, q)| -p * q.ln()).sum();
            let expected = (1.0 - part) * hard + part * temperature * temperature * distance;
            assert!((f64::from(found) - expected).abs() < 1e-5 * expected, "{part} {temperature}: {found}, expected {expected}");
        }
    }
}
