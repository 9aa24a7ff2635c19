//! Convolution as patches times a matrix, and max pooling. Feature maps have the shape (channels, samples, rows, columns), so
//! that every row of the patches is made of runs of the map.

use crate::model::Conv;
use candle_core::{bail, CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// From (channels, samples, rows, columns) to (patch, samples x places): a column is what a filter sees at one place, in the
/// order channel, row, column; only places whose results pooling uses.
pub fn patches(map: &Tensor, conv: &Conv) -> Result<Tensor> {
    map.contiguous()?.apply_op1(Patches(*conv))
}

/// The largest of each `size` x `size` square of the last two axes, which the squares fill.
pub fn max_pool(map: &Tensor, size: usize) -> Result<Tensor> {
    if size == 1 {
        return Ok(map.clone());
    }
    map.contiguous()?.apply_op1(MaxPool(size))
}

/// Rows and columns of the results that pooling uses.
pub fn places(conv: &Conv) -> [usize; 2] {
    conv.output().map(|side| side * conv.pool)
}

struct Patches(Conv);
struct MaxPool(usize);

/// The contiguous values of a tensor on the CPU.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(data), Some((from, to))) => Ok(&data[from..to]),
        _ => bail!("expected contiguous 32-bit floating point"),
    }
}

impl Patches {
    /// Calls `run(of the map, of the patches, length)` for every run of values that stand side by side in a row of the map
    /// (`stride` apart) and in the patches.
    fn runs(&self, samples: usize, mut run: impl FnMut(usize, usize, usize)) {
        let Conv { channels, height, width, kernel, stride, .. } = self.0;
        let [rows, columns] = places(&self.0);
        let mut to = 0;
        for channel in 0..channels {
            for ky in 0..kernel[0] {
                for kx in 0..kernel[1] {
                    for sample in 0..samples {
                        let map = (channel * samples + sample) * height * width;
                        for row in 0..rows {
                            run(map + (row * stride + ky) * width + kx, to, columns);
                            to += columns;
                        }
                    }
                }
            }
        }
    }
}

impl CustomOp1 for Patches {
    fn name(&self) -> &'static str {
        "patches"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (map, samples) = (slice(storage, layout)?, layout.shape().dims4()?.1);
        let [rows, columns] = places(&self.0);
        let count = samples * rows * columns;
        let mut out = vec![0f32; self.0.patch() * count];
        let stride = self.0.stride;
        self.runs(samples, |from, to, length| {
            if stride == 1 {
                out[to..to + length].copy_from_slice(&map[from..from + length]);
            } else {
                for (o, m) in out[to..to + length].iter_mut().zip(map[from..].iter().step_by(stride)) {
                    *o = *m;
                }
            }
        });
        Ok((CpuStorage::F32(out), Shape::from((self.0.patch(), count))))
    }
    fn bwd(&self, map: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let samples = map.dims4()?.1;
        let grad = grad.contiguous()?;
        let (storage, layout) = grad.storage_and_layout();
        let candle_core::Storage::Cpu(storage) = &*storage else { bail!("expected a tensor on the CPU") };
        let from_patches = slice(storage, layout)?;
        let mut out = vec![0f32; map.elem_count()];
        let stride = self.0.stride;
        self.runs(samples, |from, to, length| {
            for (o, g) in out[from..].iter_mut().step_by(stride).zip(&from_patches[to..to + length]) {
                *o += g;
            }
        });
        Ok(Some(Tensor::from_vec(out, map.shape(), map.device())?))
    }
}

impl MaxPool {
    /// Calls `square(result, places of the map)` for every square.
    fn squares(&self, shape: &Shape, mut square: impl FnMut(usize, usize)) -> Result<usize> {
        let (maps, samples, height, width) = shape.dims4()?;
        let mut result = 0;
        for map in 0..maps * samples {
            for row in 0..height / self.0 {
                for column in 0..width / self.0 {
                    square(result, (map * height + row * self.0) * width + column * self.0);
                    result += 1;
                }
            }
        }
        Ok(width)
    }

    /// The place of the first largest value of the square at `from`.
    fn largest(&self, map: &[f32], from: usize, width: usize) -> usize {
        let mut best = from;
        for row in 0..self.0 {
            for place in from + row * width..from + row * width + self.0 {
                if map[place] > map[best] {
                    best = place;
                }
            }
        }
        best
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max pool"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let map = slice(storage, layout)?;
        let (channels, samples, height, width) = layout.shape().dims4()?;
        let shape = Shape::from((channels, samples, height / self.0, width / self.0));
        let mut out = vec![0f32; shape.elem_count()];
        self.squares(layout.shape(), |result, from| out[result] = map[self.largest(map, from, width)])?;
        Ok((CpuStorage::F32(out), shape))
    }
    fn bwd(&self, map: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let ((of_map, map_layout), (of_grad, grad_layout)) = (map.storage_and_layout(), grad.storage_and_layout());
        let (candle_core::Storage::Cpu(of_map), candle_core::Storage::Cpu(of_grad)) = (&*of_map, &*of_grad) else {
            bail!("expected tensors on the CPU")
        };
        let (values, gradient, width) = (slice(of_map, map_layout)?, slice(of_grad, grad_layout)?, map.dims4()?.3);
        let mut out = vec![0f32; values.len()];
        self.squares(map.shape(), |result, from| out[self.largest(values, from, width)] += gradient[result])?;
        Ok(Some(Tensor::from_vec(out, map.shape(), map.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::slices::values;
    use super::*;
    use candle_core::{Device, Var};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn random(rng: &mut ChaCha8Rng, shape: &[usize]) -> Var {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
        Var::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn near(found: &Tensor, expected: &Tensor) {
        assert_eq!(found.dims(), expected.dims());
        for (f, e) in values(found).unwrap().iter().zip(values(expected).unwrap()) {
            assert!((f - e).abs() < 2e-4, "{f} {e}");
        }
    }

    /// Samples first, as the tensor library has it.
    fn samples_first(map: &Tensor) -> Tensor {
        map.transpose(0, 1).unwrap().contiguous().unwrap()
    }

    #[test]
    fn values_and_gradients_are_those_of_the_tensor_library() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for (stride, pool, kernel) in [(1, 2, [3, 3]), (2, 1, [3, 2]), (1, 1, [5, 5]), (1, 3, [2, 2])] {
            let conv = Conv { channels: 2, height: 7, width: 8, kernel, stride, pool };
            let (samples, filters) = (3, 4);
            let map = random(&mut rng, &[2, samples, 7, 8]);
            let weights = random(&mut rng, &[filters, conv.patch()]);
            let [rows, columns] = places(&conv);
            let ours = super::super::products::filters(&weights, &patches(&map, &conv).unwrap(), true).unwrap();
            let ours = max_pool(&ours.reshape((filters, samples, rows, columns)).unwrap(), pool).unwrap();

            let four = weights.reshape((filters, 2, kernel[0], kernel[1])).unwrap();
            let theirs = map.transpose(0, 1).unwrap().contiguous().unwrap().conv2d(&four, 0, stride, 1, 1).unwrap();
            // not max_pool2d, whose gradient is a quarter of the right one
            let squares = theirs.narrow(2, 0, rows).unwrap().narrow(3, 0, columns).unwrap();
            let squares = squares.reshape(&[samples, filters, rows / pool, pool, columns / pool, pool][..]).unwrap();
            let theirs = squares.max(5).unwrap().max(3).unwrap();
            near(&samples_first(&ours), &theirs);

            let factor = random(&mut rng, theirs.dims()).detach();
            let loss = |result: &Tensor| (result * &factor).unwrap().sum_all().unwrap();
            let (ours, theirs) = (loss(&samples_first(&ours)).backward().unwrap(), loss(&theirs).backward().unwrap());
            for var in [&weights, &map] {
                near(ours.get(var).unwrap(), theirs.get(var).unwrap());
            }
        }
    }

    #[test]
    fn gradients_are_finite_differences() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let conv = Conv { channels: 1, height: 5, width: 6, kernel: [2, 3], stride: 1, pool: 2 };
        let (map, weights) = (random(&mut rng, &[1, 2, 5, 6]), random(&mut rng, &[2, 6]));
        let [rows, columns] = places(&conv);
        let loss = |map: &Tensor, weights: &Tensor| {
            let y = super::super::products::filters(weights, &patches(map, &conv).unwrap(), true).unwrap();
            let y = max_pool(&y.reshape((2, 2, rows, columns)).unwrap(), 2).unwrap();
            super::super::products::linear(&y.flatten_from(1).unwrap(), &y.flatten_from(1).unwrap(), true).unwrap().sum_all().unwrap()
        };
        let grads = loss(&map, &weights).backward().unwrap();
        for var in [&map, &weights] {
            let (start, grad) = (values(var).unwrap(), values(grads.get(var).unwrap()).unwrap());
            for i in 0..start.len() {
                let at = |step: f32| {
                    let mut moved = start.clone();
                    moved[i] += step;
                    let moved = Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap();
                    let value = if var.id() == map.id() { loss(&moved, &weights) } else { loss(&map, &moved) };
                    value.to_scalar::<f32>().unwrap()
                };
                let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((slope - grad[i]).abs() < 0.05 * (1.0 + slope.abs()), "{i}: {slope} {}", grad[i]);
            }
        }
    }
}
