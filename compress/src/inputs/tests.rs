use super::*;
use flate2::write::GzEncoder;
use flate2::Compression;
use std::io::Write;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }
    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn idx(shape: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    bytes.extend(shape.iter().flat_map(|axis| axis.to_be_bytes()));
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 > 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn error(path: &Path, tensor: Option<&str>) -> String {
    load_inputs(path, tensor, 1.0, 0.0).unwrap_err().to_string()
}

#[test]
fn idx_images_are_scaled_plain_and_gzipped() {
    let folder = Folder::new();
    let bytes = idx(&[2, 1, 3], &[0, 128, 255, 1, 2, 3]);
    for path in [folder.file("images-idx3-ubyte", &bytes), folder.file("images.gz", &gzip(&bytes))] {
        let samples = load_inputs(&path, None, 1.0 / 256.0, -0.5).unwrap();
        assert_eq!((samples.count, samples.size), (2, 3));
        assert_eq!(samples.sample(0), [-0.5, 0.0, 255.0 / 256.0 - 0.5]);
        assert_eq!(samples.iter().count(), 2);
    }
}

#[test]
fn labels_are_idx_of_one_axis() {
    let folder = Folder::new();
    let labels = folder.file("labels.gz", &gzip(&idx(&[3], &[7, 2, 1])));
    assert_eq!(load_labels(&labels).unwrap(), [7, 2, 1]);
    assert!(error(&labels, None).contains("shape (3,), one number per sample: labels"));
    let images = folder.file("images", &idx(&[1, 2], &[0, 0]));
    assert!(load_labels(&images).unwrap_err().to_string().ends_with("found shape (1, 2), expected labels, which have one axis"));
}

#[test]
fn npy_outputs_come_back() {
    let folder = Folder::new();
    let path = folder.0.path().join("out.npy");
    let samples = Samples { count: 2, size: 3, data: vec![1.0, -2.5, 3.0e-9, 0.0, 5.0, 6.0] };
    save_npy(&path, &samples).unwrap();
    assert_eq!(load_inputs(&path, None, 1.0, 0.0).unwrap(), samples);
    assert_eq!(load_inputs(&path, Some("any"), 2.0, 1.0).unwrap().sample(1), [1.0, 11.0, 13.0]);
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 1);
    let error = save_npy(&folder.0.path().join("none/out.npy"), &samples).unwrap_err().to_string();
    assert!(error.contains("/none/"), "{error}");
}

#[test]
fn one_axis_is_one_sample_and_more_are_flattened() {
    let folder = Folder::new();
    let samples = load_inputs(&folder.file("a.npy", &npy("<f4", "(3,)", &floats(&[1.0, 2.0, 3.0]))), None, 1.0, 0.0).unwrap();
    assert_eq!((samples.count, samples.size), (1, 3));
    let mut samples = load_inputs(&folder.file("b.npy", &npy("|u1", "(2, 2, 3)", &[9; 12])), None, 1.0, 0.0).unwrap();
    assert_eq!((samples.count, samples.size, samples.data[11]), (2, 6, 9.0));
    samples.truncate(1);
    assert_eq!((samples.count, samples.data.len()), (1, 6));
    samples.truncate(5);
    assert_eq!(samples.count, 1);
}

#[test]
fn a_file_of_several_arrays_wants_a_name() {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/compressed.npz"));
    let text = error(&path, None);
    assert!(text.ends_with("found 7 arrays, expected `tensor` to name one of bias, big, c, cube, fortran, half, integers"), "{text}");
    assert!(error(&path, Some("x")).contains("tensor `x` (inputs): found no such tensor, expected one of bias, big"));
    let samples = load_inputs(&path, Some("integers"), 0.5, 0.0).unwrap();
    assert_eq!((samples.count, samples.size, samples.data[11]), (3, 4, 5.5));
    let cube = load_inputs(&path, Some("cube"), 1.0, 0.0).unwrap();
    assert_eq!(cube.data, (0..24).map(|v| v as f32).collect::<Vec<_>>());
}

#[test]
fn a_value_that_is_not_finite_is_found() {
    let folder = Folder::new();
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let path = folder.file("a.npy", &npy("<f4", "(2, 2)", &floats(&[1.0, 2.0, 3.0, value])));
        let expected = format!("found {name} in sample 1, element 1, expected finite 32-bit numbers after scale and offset");
        assert!(error(&path, None).ends_with(&expected), "{}", error(&path, None));
    }
    let path = folder.file("a.npy", &npy("<f4", "(1, 1)", &floats(&[1e30])));
    assert!(load_inputs(&path, None, 1e30, 0.0).is_err());
}

#[test]
fn broken_files_say_what_is_broken() {
    let mut huge = b"\x60\0\0\0\0\0\0\0".to_vec();
    let header = r#"{"c":{"dtype":"U8","shape":[1152921504606846976],"data_offsets":[0,1152921504606846976]}}"#;
    huge.extend(format!("{header:96}").as_bytes());
    let folder = Folder::new();
    for (name, bytes, expected) in [
        ("a", idx(&[2, 3], &[0; 5]), "found 5 bytes for shape (2, 3), expected 6 bytes"),
        ("a", idx(&[2, 3], &[0; 7]), "found more data for shape (2, 3), expected 6 bytes"),
        ("a", idx(&[u32::MAX, 1, 99], &[0; 7]), "found 7 bytes for shape (4294967295, 1, 99), expected 425201762205 bytes"),
        ("a", idx(&[u32::MAX; 2], &[0; 7]), "expected 18446744065119617025 bytes"),
        ("a", idx(&[u32::MAX; 3], &[0; 7]), "found a length beyond 64 bits for shape (4294967295, 4294967295, 4294967295)"),
        ("a", idx(&[0, 3], &[]), "found shape (0, 3), expected at least one sample of at least one value"),
        ("a", vec![0, 0, 13, 2, 0], "found first bytes [00, 00, 0d, 02], expected an idx file of bytes"),
        ("a", vec![0, 0], "found no idx header"),
        ("a", vec![0, 0, 8, 2, 0], "found an idx header cut short"),
        ("a.gz", gzip(&idx(&[9, 9], &[1; 81]))[..30].to_vec(), "found broken data after"),
        ("a.npy", npy("<f4", "(2, 3)", &[0; 20]), "found 20 bytes of data for shape (2, 3) of `<f4`, expected a whole .npy file"),
        ("a.npy", npy("<f4", "(9223372036854775807, 9223372036854775807)", &[]), "found 0 bytes of data for shape"),
        ("a.npy", npy("<f4", "(99999999999999999999,)", &[]), "found axis length `99999999999999999999`"),
        ("a.npy", npy("<f4", "(9223372036854775807, 0)", &[]), "found 0 bytes of data for shape (9223372036854775807, 0)"),
        ("a.npy", npy("<f4", "(4, 0)", &[]), "found shape (4, 0), expected at least one sample"),
        ("a.npy", npy("<f4", "()", &[0; 4]), "found shape (), expected at least one sample"),
        ("a.npy", npy("<c8", "(1,)", &[0; 8]), "found elements of type `<c8`"),
        ("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec(), "found a file that ends in the header"),
        ("a.npy", b"PK".to_vec(), "found no .npy signature"),
        ("a.npz", b"PK".to_vec(), "expected a whole .npz file"),
        ("a.safetensors", vec![1, 2, 3], "found 3 bytes, which end in the header, expected a whole safetensors file"),
        ("a.safetensors", vec![255; 9], "found 9 bytes, which end in the header"),
        ("a.safetensors", huge, "found 0 bytes of data where the header says 1,152,921,504,606,846,976"),
        ("a.safetensors", b"\x02\0\0\0\0\0\0\0{}1".to_vec(), "found 1 bytes of data where the header says 0"),
    ] {
        let text = error(&folder.file(name, &bytes), None);
        assert!(text.contains(expected), "{text}\nexpected {expected}");
    }
    assert!(error(Path::new("/nowhere/a.npy"), None).starts_with("/nowhere/a.npy: "));
}

#[test]
fn random_damage_never_panics() {
    use rand::{RngExt, SeedableRng};
    let folder = Folder::new();
    let stored = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/stored.npz")).unwrap();
    let compressed = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/compressed.npz")).unwrap();
    let mut tensors = b"\x80\0\0\0\0\0\0\0".to_vec();
    let floats = r#""c":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}"#;
    let bytes = r#""i":{"dtype":"I8","shape":[1],"data_offsets":[8,9]}"#;
    tensors.extend(format!("{:128}", format!("{{{floats},{bytes}}}")).as_bytes());
    tensors.extend([0; 9]);
    let originals = [
        ("a", idx(&[2, 2], &[1, 2, 3, 4])),
        ("b", gzip(&idx(&[2, 2], &[1, 2, 3, 4]))),
        ("c.npz", stored),
        ("d.npz", compressed),
        ("e.npy", npy("<f8", "(2, 1)", &[0; 16])),
        ("f.safetensors", tensors),
    ];
    for (name, bytes) in &originals {
        assert!(load_inputs(&folder.file(name, bytes), Some("c"), 1.0, 0.0).is_ok(), "{name}");
    }
    for seed in 0..1000 {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let (name, original) = &originals[rng.random_range(0..originals.len())];
        let mut bytes = original.clone();
        match rng.random_range(0..3) {
            0 => bytes.truncate(rng.random_range(0..bytes.len())),
            1 => bytes = (0..rng.random_range(0..200)).map(|_| rng.random()).collect(),
            _ => {
                for _ in 0..rng.random_range(1..6) {
                    let at = rng.random_range(0..bytes.len());
                    bytes[at] = if rng.random() { rng.random() } else { *[0, 0xFF, b'9', b'0'].get(rng.random_range(0..4)).unwrap() };
                }
            }
        }
        let path = folder.file(name, &bytes);
        let loaded = std::panic::catch_unwind(|| (load_inputs(&path, Some("c"), 1.0, 0.0).is_ok(), load_labels(&path).is_ok()));
        assert!(loaded.is_ok(), "seed {seed}, {name}");
    }
}

#[test]
fn sequences_have_the_networks_inputs_on_their_last_axis() {
    let folder = Folder::new();
    let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
    let three = folder.file("three.npy", &npy("<f4", "(2, 3, 2)", &floats(&values)));
    let found = load_sequences(&three, None, 2).unwrap();
    assert_eq!((found.len(), found[0].len(), &found[1][0]), (2, 3, &vec![6.0, 7.0]));
    let two = folder.file("two.npy", &npy("<f4", "(6, 2)", &floats(&values)));
    assert_eq!(load_sequences(&two, None, 2).unwrap(), [found.concat()]);
    let error = |path: &Path, inputs: usize| load_sequences(path, None, inputs).unwrap_err().to_string();
    let expected = "found shape (2, 3, 2), expected (sequences, steps, 3) or (steps, 3): the network has 3 inputs";
    assert!(error(&three, 3).ends_with(expected), "{}", error(&three, 3));
    let one = folder.file("one.npy", &npy("<f4", "(12,)", &floats(&values)));
    assert!(error(&one, 2).contains("found shape (1, 12), expected (sequences, steps, 2)"), "{}", error(&one, 2));
    let none = folder.file("none.npy", &npy("<f4", "(2, 0, 2)", &[]));
    assert!(error(&none, 2).contains("found shape (2, 0, 2), expected at least one step"), "{}", error(&none, 2));
    let broken = folder.file("nan.npy", &npy("<f4", "(1, 2, 1)", &floats(&[0.0, f32::NAN])));
    assert!(error(&broken, 1).contains("found NaN in sequence 0, step 1, value 0"), "{}", error(&broken, 1));
}

#[test]
fn arrays_of_any_shape_come_back() {
    let folder = Folder::new();
    let path = folder.0.path().join("out.npy");
    save_array(&path, &[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!(load_sequences(&path, None, 2).unwrap(), [[[1.0, 2.0]], [[3.0, 4.0]]]);
}
