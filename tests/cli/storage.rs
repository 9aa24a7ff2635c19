use super::project::{Project, FC1, FC1_BIAS, FC2};
use safetensors::SafeTensors;

fn floats(file: &[u8], name: &str) -> Vec<f32> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let data = tensors.tensor(name).unwrap();
    data.data().chunks_exact(4).map(|raw| f32::from_le_bytes(raw.try_into().unwrap())).collect()
}

#[test]
fn tensors_are_stored_and_come_back() {
    let p = Project::new();
    for method in ["auto", "huffman", "fast", "mixed"] {
        let out = p.run(&["store", "model.safetensors", "-o", "m.lcs", "--method", method]).did_it();
        assert!(out.contains("bytes stored, rate"), "{out}");
        p.run(&["decompress", "m.lcs", "-o", "dense.safetensors"]).did_it();
        let dense = p.read("dense.safetensors");
        assert_eq!(floats(&dense, "fc1.weight"), FC1.concat());
        assert_eq!(floats(&dense, "fc1.bias"), FC1_BIAS);
        assert_eq!(floats(&dense, "fc2.weight"), FC2.concat());
    }
}

#[test]
fn values_that_are_no_32_bit_floats_are_refused() {
    let p = Project::new();
    let file = |kind: &str, value: [u8; 8]| {
        let header = format!(r#"{{"w":{{"dtype":"{kind}","shape":[1],"data_offsets":[0,8]}}}}"#);
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &value].concat()
    };
    for (kind, value) in [("F64", 0.1f64.to_le_bytes()), ("I64", 16_777_217i64.to_le_bytes()), ("I64", ((1i64 << 53) + 1).to_le_bytes())] {
        p.write("wide.safetensors", file(kind, value));
        let texts = ["wide.safetensors", "in tensor w", "expected values that are exact as 32-bit floats"];
        p.refuses(&["store", "wide.safetensors", "-o", "m.lcs"], &texts);
        assert!(!p.path("m.lcs").exists());
    }
    p.write("wide.safetensors", file("F64", 0.25f64.to_le_bytes()));
    p.run(&["store", "wide.safetensors", "-o", "m.lcs"]).did_it();
}

#[test]
fn a_configuration_reads_what_it_stored() {
    let p = Project::new();
    p.run(&["compress", "-c", "net.toml", "-o", "before.lacuna"]).did_it();
    p.run(&["store", "-c", "net.toml", "-o", "m.lcs"]).did_it();
    let config = String::from_utf8(p.read("net.toml")).unwrap();
    p.write("stored.toml", config.replace("model.safetensors", "m.lcs"));
    p.run(&["compress", "-c", "stored.toml", "-o", "after.lacuna"]).did_it();
    // few different weights: shared exactly, so that the same network comes out
    assert_eq!(p.read("before.lacuna"), p.read("after.lacuna"));
    let pruned = config.replace("weights = \"fc1.weight\"", "weights = \"fc1.weight\"\ndensity = 0.1");
    p.write("pruned.toml", pruned);
    p.run(&["store", "-c", "pruned.toml", "-o", "p.lcs"]).did_it();
    p.run(&["decompress", "p.lcs", "-o", "p.safetensors"]).did_it();
    let kept: Vec<f32> = floats(&p.read("p.safetensors"), "fc1.weight").into_iter().filter(|w| *w != 0.0).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    // every way of saying what is kept counts
    let quality = config.replace("weights = \"fc1.weight\"", "weights = \"fc1.weight\"\nquality = 1.2");
    p.write("quality.toml", quality);
    p.run(&["store", "-c", "quality.toml", "-o", "q.lcs"]).did_it();
    p.run(&["decompress", "q.lcs", "-o", "q.safetensors"]).did_it();
    let weights = FC1.concat();
    let mean = weights.iter().sum::<f32>() / weights.len() as f32;
    let deviation = (weights.iter().map(|w| (w - mean).powi(2)).sum::<f32>() / weights.len() as f32).sqrt();
    let expected = weights.iter().filter(|w| w.abs() > 1.2 * deviation).count();
    let kept = floats(&p.read("q.safetensors"), "fc1.weight").iter().filter(|w| **w != 0.0).count();
    assert!(kept == expected && kept < weights.len(), "{kept} of {}, expected {expected}", weights.len());
    p.refuses(&["store", "model.safetensors", "-o", "m.safetensors"], &["m.safetensors: found another extension, expected .lcs"]);
}

#[test]
fn stats_show_the_columns_of_the_paper() {
    let p = Project::new();
    p.run(&["store", "-c", "net.toml", "-o", "m.lcs"]).did_it();
    let out = p.run(&["stats", "m.lcs"]).did_it();
    let row = |name: &str| -> Vec<String> {
        let line = out.lines().find(|l| l.trim_start().starts_with(name)).unwrap_or_else(|| panic!("{name} in\n{out}"));
        line.split_whitespace().map(str::to_string).collect()
    };
    // 7 of 24 weights are not zero, of 5 values: 3 bits, and with gaps of 2 bits there are 2 fillers: 9 entries of 5 bits and 20
    // bytes of codebook in 96 bytes; Huffman codes gain nothing and cost 39 bits of header, in whole bytes
    assert_eq!(row("fc1.weight")[1..12], ["24", "29.17", "%", "3", "3.0", "2", "2.0", "26.69", "%", "32.29", "%"]);
    // 6 entries
    assert_eq!(row("fc2.weight")[1..12], ["12", "41.67", "%", "3", "3.0", "2", "2.0", "49.48", "%", "60.42", "%"]);
    assert_eq!(row("total")[1..12], ["36", "33.33", "%", "-", "-", "-", "-", "34.29", "%", "41.67", "%"]);

    // a half, a quarter and a quarter: 1.5 bits; gaps are all 0: 1 bit. Tables have 50 bits, the rest of the header 37
    let values: Vec<u8> = (0..1024).flat_map(|i| [1.0f32, 2.0, 1.0, 3.0][i % 4].to_le_bytes()).collect();
    let header = r#"{"w":{"dtype":"F32","shape":[1024],"data_offsets":[0,4096]}}"#;
    p.write("w.safetensors", [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &values].concat());
    p.run(&["store", "w.safetensors", "-o", "w.lcs"]).did_it();
    let out = p.run(&["stats", "w.lcs"]).did_it();
    let line: Vec<&str> = out.lines().find(|l| l.trim_start().starts_with("w ")).unwrap().split_whitespace().collect();
    assert_eq!(line[1..12], ["1,024", "100.00", "%", "2", "1.5", "2", "1.0", "12.79", "%", "8.37", "%"]);
    // the smallest form, whose rate is that of the file but for what is around the tensor
    let rate: f64 = line[13].parse().unwrap();
    let file = 100.0 * p.read("w.lcs").len() as f64 / 4096.0;
    assert!(rate < file && rate > file - 100.0 * 16.0 / 4096.0, "{rate}, file {file}");
}

#[test]
fn a_container_is_no_storage_file() {
    let p = Project::new();
    p.run(&["compress", "-c", "net.toml", "-o", "m.lacuna"]).did_it();
    for command in [&["stats", "m.lacuna"][..], &["store", "m.lacuna", "-o", "m.lcs"]] {
        p.refuses(command, &["m.lacuna: found a container of a network of fully connected layers", ".lcs", ".net", ".safetensors"]);
    }
    assert!(!p.path("m.lcs").exists());
}

#[test]
fn a_bitstream_comes_back_byte_for_byte() {
    let p = Project::new();
    p.write("layout.toml", "[[layer]]\nname = \"ip\"\nshape = [2, 20]\nbits = 4\n");
    // a weight at 0, a filler, one 18 zeros later, a third at the last place
    let mut bytes = vec![5, 0, 0, 0];
    bytes.extend((0..16).flat_map(|i| (i as f32 / 4.0).to_le_bytes()));
    bytes.extend([1.5f32, -2.0].iter().flat_map(|b| b.to_le_bytes()));
    bytes.extend([0x01, 0x0f, 0x02]);
    bytes.extend([0xf0, 0xf2, 0x03]);
    p.write("ip.net", &bytes);
    p.run(&["store", "ip.net", "--layout", "layout.toml", "-o", "ip.lcs"]).did_it();
    p.run(&["decompress", "ip.lcs", "-o", "back.net"]).did_it();
    assert_eq!(p.read("back.net"), bytes);
    assert!(p.run(&["stats", "ip.net", "--layout", "layout.toml"]).did_it().contains("ip.weight"));
    bytes.push(0);
    p.write("ip.net", &bytes);
    p.refuses(&["store", "ip.net", "--layout", "layout.toml", "-o", "x.lcs"], &["ip.net", "1 bytes behind the last layer"]);
    p.refuses(&["store", "ip.net", "-o", "x.lcs"], &["ip.net", "entries"]);
}

#[test]
fn damaged_files_are_refused_and_leave_nothing() {
    let p = Project::new();
    p.run(&["store", "model.safetensors", "-o", "m.lcs"]).did_it();
    let whole = p.read("m.lcs");
    let names = p.names();
    let mut turned = whole.clone();
    turned[whole.len() / 2] ^= 4;
    let longer = [whole.as_slice(), &[0]].concat();
    for (bytes, found) in
        [(&turned[..], "CRC-32"), (&whole[..whole.len() - 1], "end of the file"), (&longer, "behind the last"), (b"LCS", "LCS")]
    {
        p.write("m.lcs", bytes);
        p.refuses(&["decompress", "m.lcs", "-o", "dense.safetensors"], &["m.lcs", found]);
        p.refuses(&["stats", "m.lcs"], &["m.lcs", found]);
        assert_eq!(p.names(), names);
    }
    p.write("m.lcs", &whole);
    p.refuses(&["decompress", "m.lcs", "-o", "dense.npy"], &["dense.npy", ".safetensors or .net"]);
    p.refuses(&["decompress", "m.lcs", "-o", "x.net"], &["m.lcs", "expected pairs"]);
    p.refuses(&["decompress", "none.lcs", "-o", "x.safetensors"], &["none.lcs"]);
}
