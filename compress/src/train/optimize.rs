//! Optimizers: one pass over the slices of each variable. A weight whose mask is 0 stays exactly 0, and so does its state.

use super::slices;
use crate::error::Error;
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

/// What changes variables by their gradients. Variables are known by their place in the list, which must stay the same.
pub trait Optimizer {
    /// One step. A variable without a gradient stays as it is. `masks` has one entry per variable, of its shape, with 1 where
    /// a weight is kept and 0 where it is and stays 0; `None` keeps all.
    fn step(&mut self, vars: &[Var], grads: &GradStore, masks: &[Option<Tensor>]) -> Result<(), Error>;
    fn set_rate(&mut self, rate: f64);
    fn rate(&self) -> f64;
    /// Everything that [`Optimizer::restore`] needs to go on as if there had been no break, but for the rate.
    fn state(&self) -> Result<BTreeMap<String, Tensor>, Error>;
    /// An error unless the tensors are those of [`Optimizer::state`] of the same kind.
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<(), Error>;
}

/// Stochastic gradient descent with momentum: `v = momentum v + (g + weight_decay w)`, `w = w - rate v`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sgd {
    pub rate: f64,
    pub momentum: f64,
    /// L2: added to the gradient.
    pub weight_decay: f64,
    /// Of each variable.
    velocity: Vec<Vec<f32>>,
}

/// Adam (Kingma and Ba, 2015) with L2 regularization in the gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    pub rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// L2: added to the gradient.
    pub weight_decay: f64,
    /// Steps done.
    steps: u32,
    /// Of each variable.
    mean: Vec<Vec<f32>>,
    square: Vec<Vec<f32>>,
}

impl Sgd {
    pub fn new(rate: f64, momentum: f64, weight_decay: f64) -> Sgd {
        Sgd { rate, momentum, weight_decay, velocity: Vec::new() }
    }
}

impl Adam {
    /// The paper's beta1 0.9, beta2 0.999 and eps 1e-8.
    pub fn new(rate: f64, weight_decay: f64) -> Adam {
        Adam { rate, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay, steps: 0, mean: Vec::new(), square: Vec::new() }
    }
}

/// Makes `state` one vector of zeros per variable where it has none yet.
fn prepare(state: &mut Vec<Vec<f32>>, vars: &[Var]) {
    for var in &vars[state.len().min(vars.len())..] {
        state.push(vec![0.0; var.elem_count()]);
    }
}

/// Calls `update` with the gradient, the mask and the place of each variable that has a gradient.
fn each(
    vars: &[Var],
    grads: &GradStore,
    masks: &[Option<Tensor>],
    mut update: impl FnMut(usize, &mut [f32], &[f32], Option<&[f32]>),
) -> Result<(), Error> {
    assert_eq!(vars.len(), masks.len(), "one mask, or none, per variable");
    for (place, (var, mask)) in vars.iter().zip(masks).enumerate() {
        let Some(grad) = grads.get(var) else { continue };
        let mut change = |mask: Option<&[f32]>| slices::read(grad, |g| slices::change(var, |w| update(place, w, g, mask)));
        match mask {
            None => change(None)??,
            Some(mask) => slices::read(mask, |m| change(Some(m)))???,
        }
    }
    Ok(())
}

/// Makes the weights and the state of what the mask leaves out zero.
fn clear(mask: Option<&[f32]>, values: [&mut [f32]; 3]) {
    if let Some(mask) = mask {
        for values in values {
            for (value, keep) in values.iter_mut().zip(mask) {
                if *keep == 0.0 {
                    *value = 0.0;
                }
            }
        }
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, vars: &[Var], grads: &GradStore, masks: &[Option<Tensor>]) -> Result<(), Error> {
        prepare(&mut self.velocity, vars);
        let (rate, momentum, decay) = (self.rate as f32, self.momentum as f32, self.weight_decay as f32);
        each(vars, grads, masks, |place, weights, gradient, mask| {
            let velocity = &mut self.velocity[place];
            for ((w, v), g) in weights.iter_mut().zip(velocity.iter_mut()).zip(gradient) {
                *v = momentum * *v + (g + decay * *w);
                *w -= rate * *v;
            }
            clear(mask, [weights, velocity, &mut []]);
        })
    }
    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }
    fn rate(&self) -> f64 {
        self.rate
    }
    fn state(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        save("velocity", &self.velocity).collect()
    }
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<(), Error> {
        self.velocity = load("velocity", state)?;
        if self.velocity.len() == state.len() {
            Ok(())
        } else {
            Err(foreign())
        }
    }
}

impl Optimizer for Adam {
    fn step(&mut self, vars: &[Var], grads: &GradStore, masks: &[Option<Tensor>]) -> Result<(), Error> {
        prepare(&mut self.mean, vars);
        prepare(&mut self.square, vars);
        self.steps += 1;
        // the corrections of the start, folded into the rate and eps
        let correct = |beta: f64| 1.0 - beta.powi(self.steps.min(1 << 20) as i32);
        let root = correct(self.beta2).sqrt();
        let rate = (self.rate * root / correct(self.beta1)) as f32;
        let (eps, decay) = ((self.eps * root) as f32, self.weight_decay as f32);
        let (beta1, beta2) = (self.beta1 as f32, self.beta2 as f32);
        each(vars, grads, masks, |place, weights, gradient, mask| {
            let (mean, square) = (&mut self.mean[place], &mut self.square[place]);
            for (((w, m), s), g) in weights.iter_mut().zip(mean.iter_mut()).zip(square.iter_mut()).zip(gradient) {
                let g = g + decay * *w;
                *m = beta1 * *m + (1.0 - beta1) * g;
                *s = beta2 * *s + (1.0 - beta2) * g * g;
                *w -= rate * *m / (s.sqrt() + eps);
            }
            clear(mask, [weights, mean, square]);
        })
    }
    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }
    fn rate(&self) -> f64 {
        self.rate
    }
    fn state(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut state: BTreeMap<String, Tensor> =
            save("mean", &self.mean).chain(save("square", &self.square)).collect::<Result<_, Error>>()?;
        // exact up to 2^24 steps in each of two halves
        let halves = [(self.steps >> 16) as f32, (self.steps & 0xffff) as f32];
        state.insert("steps".to_string(), Tensor::from_slice(&halves, 2, &Device::Cpu)?);
        Ok(state)
    }
    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<(), Error> {
        let [high, low] = state.get("steps").map(slices::values).transpose()?.ok_or_else(foreign)?[..] else { return Err(foreign()) };
        self.steps = ((high as u32) << 16) | low as u32;
        (self.mean, self.square) = (load("mean", state)?, load("square", state)?);
        if self.mean.len() == self.square.len() && self.mean.len() + self.square.len() + 1 == state.len() {
            Ok(())
        } else {
            Err(foreign())
        }
    }
}

fn foreign() -> Error {
    Error::Training("the checkpoint holds the state of another optimizer".to_string())
}

fn save<'a>(name: &'a str, state: &'a [Vec<f32>]) -> impl Iterator<Item = Result<(String, Tensor), Error>> + 'a {
    state.iter().enumerate().map(move |(i, v)| Ok((format!("{name}.{i}"), Tensor::from_slice(v, v.len(), &Device::Cpu)?)))
}

fn load(name: &str, state: &BTreeMap<String, Tensor>) -> Result<Vec<Vec<f32>>, Error> {
    (0..).map_while(|i| state.get(&format!("{name}.{i}"))).map(slices::values).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(optimizer: &mut dyn Optimizer, var: &Var, mask: Option<Tensor>, steps: usize) {
        for _ in 0..steps {
            // the square of the distance to (1, 2, 3)
            let target = Tensor::new(&[1f32, 2.0, 3.0], &Device::Cpu).unwrap();
            let loss = (var.as_tensor() - target).unwrap().sqr().unwrap().sum_all().unwrap();
            let grads = loss.backward().unwrap();
            optimizer.step(std::slice::from_ref(var), &grads, std::slice::from_ref(&mask)).unwrap();
        }
    }

    fn start() -> Var {
        Var::new(&[0.5f32, 0.0, -0.25], &Device::Cpu).unwrap()
    }

    /// The textbook's form of Adam in f64, one weight, gradient 2 (w - target) + decay w.
    fn adam(mut w: f64, target: f64, steps: i32) -> f64 {
        let (mut m, mut v) = (0.0, 0.0);
        for t in 1..=steps {
            let g = 2.0 * (w - target) + 0.01 * w;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (corrected_m, corrected_v): (f64, f64) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
            w -= 0.1 * corrected_m / (corrected_v.sqrt() + 1e-8);
        }
        w
    }

    #[test]
    fn adam_is_the_papers() {
        let var = start();
        run(&mut Adam::new(0.1, 0.01), &var, None, 7);
        let expected = [(0.5, 1.0), (0.0, 2.0), (-0.25, 3.0)].map(|(w, target)| adam(w, target, 7));
        for (found, expected) in slices::values(&var).unwrap().iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn sgd_has_momentum_and_decay() {
        let var = start();
        run(&mut Sgd::new(0.1, 0.5, 0.01), &var, None, 3);
        let (mut w, mut v) = (-0.25f64, 0.0);
        for _ in 0..3 {
            v = 0.5 * v + 2.0 * (w - 3.0) + 0.01 * w;
            w -= 0.1 * v;
        }
        assert!((f64::from(slices::values(&var).unwrap()[2]) - w).abs() < 1e-5);
    }

    #[test]
    fn a_masked_weight_stays_zero_and_a_break_changes_nothing() {
        let optimizers: [fn() -> Box<dyn Optimizer>; 2] = [|| Box::new(Sgd::new(0.1, 0.9, 0.01)), || Box::new(Adam::new(0.1, 0.01))];
        for make in optimizers {
            let mask = Tensor::new(&[1f32, 0.0, 1.0], &Device::Cpu).unwrap();
            let (whole, broken) = (start(), start());
            run(&mut *make(), &whole, Some(mask.clone()), 6);
            let mut first = make();
            run(&mut *first, &broken, Some(mask.clone()), 3);
            let state = first.state().unwrap();
            assert!(state.iter().filter(|(name, _)| *name != "steps").all(|(_, t)| slices::values(t).unwrap()[1] == 0.0));
            let mut second = make();
            second.restore(&state).unwrap();
            run(&mut *second, &broken, Some(mask), 3);
            let (whole, broken) = (slices::values(&whole).unwrap(), slices::values(&broken).unwrap());
            assert_eq!(whole, broken);
            assert!(whole[1] == 0.0 && whole[0] != 0.5 && whole[2] != -0.25);
        }
        let state = Adam::new(0.1, 0.0).state().unwrap();
        assert!(Sgd::new(0.1, 0.9, 0.0).restore(&state).is_err());
    }
}
