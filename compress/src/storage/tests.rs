use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn small(rng: &mut ChaCha8Rng) -> Vec<StoredTensor> {
    let tensor = |name: &str, shape: Vec<usize>, values| StoredTensor { name: name.to_string(), shape, values };
    let weights: Vec<f32> = (0..96).map(|_| if rng.random_bool(0.2) { f32::from(rng.random_range(-3i8..4)) / 7.0 } else { 0.0 }).collect();
    vec![
        tensor("fc1.weight", vec![8, 12], Values::share(&weights).unwrap()),
        tensor("fc1.bias", vec![5], Values::Uniform { bits: 6, step: 0.013, values: vec![-32, 31, 0, 0, 7] }),
        tensor("scale", vec![], Values::Raw(vec![std::f32::consts::PI])),
        tensor("none", vec![3, 0], Values::Raw(vec![])),
        tensor("half", vec![2, 2], Values::Raw(vec![0.5, -0.25, 65504.0, 5.9604645e-8])),
    ]
}

const METHODS: [Method; 4] = [Method::Auto, Method::Huffman, Method::Fast, Method::Mixed];

#[test]
fn what_was_written_comes_back() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for method in METHODS {
        let tensors = small(&mut rng);
        let file = write(&tensors, method).unwrap();
        assert_eq!(read_all(&file[..]).unwrap(), tensors, "{method:?}");
    }
    assert_eq!(read_all(&write(&[], Method::Auto).unwrap()[..]).unwrap(), []);
}

#[test]
fn every_damage_is_an_error() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for method in METHODS {
        let file = write(&small(&mut rng), method).unwrap();
        for length in 0..file.len() {
            assert!(read_all(&file[..length]).is_err(), "{method:?} cut to {length}");
        }
        for bit in 0..8 * file.len() {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read_all(&damaged[..]).is_err(), "{method:?} with bit {bit} turned");
        }
        for value in [0, 255] {
            for at in (0..file.len()).filter(|at| file[*at] != value) {
                let mut damaged = file.clone();
                damaged[at] = value;
                assert!(read_all(&damaged[..]).is_err(), "{method:?} with byte {at} as {value}");
            }
        }
        let mut longer = file.clone();
        longer.push(0);
        assert!(read_all(&longer[..]).is_err(), "{method:?} with a byte more");
    }
}

#[test]
fn sharing_keeps_every_bit() {
    let weights = [0.0f32, -0.0, 1.5, -1.5, f32::NAN, 1e-42, 1.5, f32::NEG_INFINITY, 0.0];
    let shared = Values::share(&weights).unwrap();
    let Values::Shared { codebook, codes } = &shared else { panic!() };
    assert_eq!((codebook.len(), codes[0], codes[8]), (6, 0, 0));
    let tensor = StoredTensor { name: "w".into(), shape: vec![3, 3], values: shared.clone() };
    for method in METHODS {
        let back = read_all(&write(std::slice::from_ref(&tensor), method).unwrap()[..]).unwrap();
        let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back[0].values.dense()), bits(&weights));
    }
    let many: Vec<f32> = (1..=65_536u32).map(|i| i as f32).collect();
    assert!(Values::share(&many).is_none());
    assert!(Values::share(&many[1..]).is_some());
}

#[test]
fn any_floats_come_back() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for count in [0usize, 1, 2, 31, 256] {
        for kind in 0..4 {
            let values: Vec<f32> = (0..count)
                .map(|i| match kind {
                    0 => f32::from_bits(rng.random_range(0..=u32::MAX)),
                    // exact in 16 bits
                    1 => f32::from(rng.random_range(-1000i16..1000)) / 16.0,
                    2 => f32::from(rng.random_range(-1000i16..1000)) * 5.9604645e-8,
                    _ => i as f32 * 0.37 - 5.0,
                })
                .collect();
            let tensors = [
                StoredTensor { name: "r".into(), shape: vec![count], values: Values::Raw(values.clone()) },
                StoredTensor { name: "s".into(), shape: vec![0], values: Values::Shared { codebook: values, codes: vec![] } },
            ];
            let file = write(&tensors, Method::Auto).unwrap();
            let back = read_all(&file[..]).unwrap();
            for (a, b) in back.iter().zip(&tensors) {
                let bits = |t: &StoredTensor| match &t.values {
                    Values::Raw(v) | Values::Shared { codebook: v, .. } => v.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                    Values::Uniform { .. } => panic!(),
                };
                assert_eq!(bits(a), bits(b), "{count} values of kind {kind}");
            }
            // codebooks in another order, too, and all of it in no more than half if 16 bits do
            if kind == 1 && count == 256 {
                assert!(file.len() < 2 * 2 * count + 100, "{}", file.len());
            }
        }
    }
}

#[test]
fn integers_of_every_width_come_back() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for bits in 2..=16 {
        let limit = 1i32 << (bits - 1);
        let mut values: Vec<i32> = (0..60).map(|_| if rng.random_bool(0.4) { 0 } else { rng.random_range(-limit..limit) }).collect();
        (values[0], values[1]) = (-limit, limit - 1);
        let tensors = [StoredTensor { name: "u".into(), shape: vec![3, 4, 5], values: Values::Uniform { bits, step: 0.25, values } }];
        for method in METHODS {
            assert_eq!(read_all(&write(&tensors, method).unwrap()[..]).unwrap(), tensors, "{bits} bits, {method:?}");
        }
    }
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let tensor = |name: &str, shape: Vec<usize>, values| StoredTensor { name: name.to_string(), shape, values };
    let one = || Values::Raw(vec![1.0]);
    let refused = [
        vec![tensor("", vec![1], one())],
        vec![tensor("a\0b", vec![1], one())],
        vec![tensor("a", vec![2], one())],
        vec![tensor("a", vec![usize::MAX, 2], one())],
        vec![tensor("a", vec![1], one()), tensor("a", vec![1], one())],
        vec![tensor("a", vec![1], Values::Shared { codebook: vec![1.0], codes: vec![2] })],
        vec![tensor("a", vec![1], Values::Uniform { bits: 4, step: 1.0, values: vec![8] })],
        vec![tensor("a", vec![1], Values::Uniform { bits: 17, step: 1.0, values: vec![8] })],
    ];
    for tensors in refused {
        assert!(write(&tensors, Method::Auto).is_err(), "{tensors:?}");
    }
}

#[test]
fn blocks_are_read_one_after_the_other() {
    let tensor = |name: &str| {
        let codes = (0..BLOCK as u32).map(|i| u16::from(i % 97 == 0) * (1 + (i % 3) as u16)).collect();
        StoredTensor { name: name.into(), shape: vec![1024, 1024], values: Values::Shared { codebook: vec![-1.0, 0.5, 2.0], codes } }
    };
    let tensors = [tensor("a"), tensor("b")];
    let file = write(&tensors, Method::Fast).unwrap();
    // the first tensor is there before the second block has been read
    let mut reader = Reader::new(&file[..file.len() - 1]).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), tensors[0]);
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
    assert_eq!(read_all(&file[..]).unwrap(), tensors);
}

/// Where each block of a file ends, by its lengths.
fn block_ends(file: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (vec![], MAGIC.len());
    while at < file.len() {
        let (mut head, mut shift) = (0usize, 0);
        loop {
            let byte = file[at];
            at += 1;
            head |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
        at += (head >> 2) + 4;
        ends.push(at);
    }
    ends
}

#[test]
fn blocks_that_are_lost_repeated_or_moved_are_an_error() {
    let tensor = |k: usize| {
        let codes = (0..BLOCK).map(|i| u16::from(i % 64 == k)).collect();
        StoredTensor { name: format!("t{k}"), shape: vec![BLOCK], values: Values::Shared { codebook: vec![1.0], codes } }
    };
    let tensors = [tensor(0), tensor(1), tensor(2), tensor(3)];
    let file = write(&tensors, Method::Fast).unwrap();
    let ends = block_ends(&file);
    assert_eq!((ends.len(), ends[3]), (4, file.len()));
    assert_eq!(read_all(&file[..]).unwrap(), tensors);
    let block = |k: usize| &file[if k == 0 { 0 } else { ends[k - 1] }..ends[k]];
    for order in [&[0, 2, 3][..], &[0, 1, 3], &[0, 3], &[0, 1, 1, 2, 3], &[0, 2, 1, 3]] {
        let moved: Vec<u8> = order.iter().flat_map(|k| block(*k)).copied().collect();
        let error = read_all(&moved[..]).unwrap_err().to_string();
        assert!(error.contains("CRC-32"), "{order:?}: {error}");
    }
}

#[test]
fn an_empty_tensor_may_have_axes_of_any_size() {
    for shape in [vec![0, 1 << 40, 1 << 40], vec![3, 0, 1 << 40]] {
        let tensors = [StoredTensor { name: "none".into(), shape, values: Values::Shared { codebook: vec![], codes: vec![] } }];
        for method in METHODS {
            let file = write(&tensors, method).unwrap();
            assert_eq!(read_all(&file[..]).unwrap(), tensors);
        }
    }
}

/// A file of one block with any body and the CRC that belongs to it.
fn signed(body: &[u8], has_bulk: bool) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    put_number(&mut file, (body.len() as u64) << 2 | u64::from(has_bulk) << 1 | 1);
    file.extend(body);
    let crc = crc32fast::hash(&file);
    file.extend(crc.to_le_bytes());
    file
}

/// The body of a file of one block, and whether something stands behind its stream.
fn body(file: &[u8]) -> (Vec<u8>, bool) {
    assert_eq!(block_ends(file), [file.len()]);
    let head = file[MAGIC.len()..].iter().position(|byte| *byte < 128).unwrap() + 1;
    (file[MAGIC.len() + head..file.len() - 4].to_vec(), file[MAGIC.len()] & 2 == 2)
}

#[test]
fn changed_bodies_with_a_right_crc_give_an_error_or_sound_tensors() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let (mut errors, mut others) = (0, 0);
    for method in METHODS {
        let tensors = small(&mut rng);
        let (whole, has_bulk) = body(&write(&tensors, method).unwrap());
        assert_eq!(read_all(&signed(&whole, has_bulk)[..]).unwrap(), tensors);
        for _ in 0..120 {
            let mut changed = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..changed.len());
                changed[at] = rng.random_range(0..=255);
            }
            changed.truncate(rng.random_range(1..2 * changed.len()));
            for has_bulk in [has_bulk, rng.random_bool(0.5)] {
                match read_all(&signed(&changed, has_bulk)[..]) {
                    Err(_) => errors += 1,
                    Ok(found) => {
                        others += 1;
                        found.iter().for_each(|tensor| tensor.check().unwrap());
                    }
                }
            }
        }
    }
    assert!(errors > 100 && others > 10, "{errors} errors, {others} others");
}

#[test]
fn a_stream_that_never_ends_is_an_error() {
    // decisions of an empty stream: there is always one more tensor
    for body in [vec![], vec![0; 9], vec![1, 2, 3, 4, 5, 6, 7, 8]] {
        assert!(read_all(&signed(&body, false)[..]).is_err(), "{body:?}");
    }
}

#[test]
fn a_file_holds_no_more_than_its_bytes_pay_for() {
    let zeros = |count: usize| {
        let values = Values::Shared { codebook: vec![1.0], codes: vec![0; count] };
        [StoredTensor { name: "zeros".into(), shape: vec![count], values }]
    };
    for count in [1, 1 << 14, 1 << 22] {
        let (tensors, method) = (zeros(count), Method::Fast);
        let file = write(&tensors, method).unwrap();
        assert!(file.len() <= 100 + count / 1000, "{}", file.len());
        assert_eq!(read_all(&file[..]).unwrap(), tensors);
        // the same without the bytes that pay
        let (stream, bulk) = Models::default().encode(&tensors, method);
        let mut body = vec![];
        put_number(&mut body, stream.len() as u64);
        body.extend(stream);
        body.extend(bulk);
        let found = read_all(&signed(&body, true)[..]);
        if count < 1 << 16 {
            assert_eq!(found.unwrap(), tensors);
        } else {
            let error = found.unwrap_err().to_string();
            assert!(error.contains("4,194,3") && error.contains("bytes of the file, expected at most"), "{error}");
        }
    }
}

#[test]
fn a_name_that_is_there_twice_is_an_error() {
    let tensor = |name: &str| StoredTensor { name: name.into(), shape: vec![1], values: Values::Raw(vec![1.0]) };
    let file = |names: [&str; 2]| signed(&Models::default().encode(&names.map(tensor), Method::Auto).0, false);
    assert_eq!(read_all(&file(["a", "b"])[..]).unwrap().len(), 2);
    let error = read_all(&file(["a", "a"])[..]).unwrap_err().to_string();
    assert!(error.contains("`a`") && error.contains("twice"), "{error}");
}

#[test]
fn codebooks_in_any_order_come_back() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for size in [2usize, 3, 16, 255, 256, 20_000] {
        let mut codebook: Vec<f32> = (0..size).map(|i| i as f32 - 7.5).collect();
        for i in 1..size {
            codebook.swap(i, rng.random_range(0..=i));
        }
        let codes = (0..=size as u16).collect();
        let tensors = [StoredTensor { name: "w".into(), shape: vec![size + 1], values: Values::Shared { codebook, codes } }];
        assert_eq!(read_all(&write(&tensors, Method::Fast).unwrap()[..]).unwrap(), tensors, "{size}");
    }
}
