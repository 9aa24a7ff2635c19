//! Faults in images that are loaded, and in containers.

use super::{Extent, Subject, Tally};
use crate::bench::synthetic::Random;
use anyhow::{Context, Result};
use lacuna_compress::manifest::AnyModel;
use lacuna_compress::spec::container::{first_word, read};
use lacuna_compress::spec::{Arch, MemoryImage, MemoryKind, Section};
use lacuna_sim::host::Host;
use lacuna_sim::recurrent::{RecurrentOptions, RecurrentSimulator};
use lacuna_sim::session::{flush_limit, require};
use lacuna_sim::simulate::{library, Axi, Options, Simulator};
use lacuna_sim::verilate::Optimize;

pub fn tallies(subject: &Subject, extent: Extent, random: &mut Random) -> Result<Vec<Tally>> {
    let model = subject.model(0)?;
    let options = Options { optimize: Optimize::Draft, ..Options::default() };
    let library = library(&lacuna_hdl::generate(&subject.arch)?, &options)?;
    let mut tallies = match &model {
        AnyModel::Layers(model) => {
            let simulator = Simulator::start(model, &library, &options)?;
            on_hardware(simulator.host, &model.image, extent, random)?
        }
        AnyModel::Recurrent(model) => {
            let recurrent = RecurrentOptions { common: options, ..RecurrentOptions::default() };
            let simulator = RecurrentSimulator::start(model, &library, &recurrent)?;
            on_hardware(simulator.host, &model.image, extent, random)?
        }
    };
    let first = model.image().sections.keys().next().context("an image has sections")?;
    tallies.extend(in_a_container(&model.to_container()?, *first, extent, random)?);
    Ok(tallies)
}

/// The hardware finds a changed word in any memory, and the host says in which; it also says whose accelerator it is.
fn on_hardware(mut host: Host<Axi>, image: &MemoryImage, extent: Extent, random: &mut Random) -> Result<Vec<Tally>> {
    let of_kind = |codebook: bool| -> Vec<Section> {
        let all = image.sections.iter().filter(|(_, words)| !words.is_empty());
        all.map(|(section, _)| *section).filter(|s| (s.kind() == MemoryKind::Codebook) == codebook).collect()
    };
    let mut tallies = vec![];
    for (name, sections, count) in
        [("bit of an image section", of_kind(false), extent.sections), ("bit of a codebook word", of_kind(true), extent.codebook)]
    {
        let mut tally = Tally::new(name);
        for number in 0..if sections.is_empty() { 0 } else { count } {
            // every section in turn
            let section = sections[number % sections.len()];
            let words = image.sections.get(&section).with_context(|| format!("{section} is missing"))?;
            let mut damaged = words.clone();
            let (index, bit) = (random.below(words.len()), random.below(words.width()));
            damaged.set_bits(index, bit, 1, words.bits(index, bit, 1) ^ 1);
            host.write_memory(section.kind(), section.pe(), &damaged)?;
            let refused = host.check(image).err().map(|e| e.to_string());
            let (found, expected) = (format!("{:08x}", damaged.crc32()), format!("{:08x}", words.crc32()));
            tally.note(&format!("{section}, word {index}, bit {bit}"), refused, &[&section.to_string(), &found, &expected]);
            host.take_errors()?;
            host.wait_idle(flush_limit(&image.arch))?;
            host.write_memory(section.kind(), section.pe(), words)?;
            // only the fault was refused
            host.check(image)?;
            host.wait_idle(flush_limit(&image.arch))?;
        }
        tallies.push(tally);
    }
    let mut tally = Tally::new("image of another architecture");
    let mut bus = host.bus;
    for deeper in 1..=extent.containers {
        let arch = Arch { act_depth: image.arch.act_depth + deeper, ..image.arch.clone() };
        let mut other = Host::new(bus, &arch);
        let said = require(&mut other, &MemoryImage { arch: arch.clone(), ..image.clone() }).err().map(|e| e.to_string());
        let hashes = [format!("{:016x}", image.arch.hash()), format!("{:016x}", arch.hash())];
        tally.note(&format!("activations deeper by {deeper}"), said, &[&hashes[0], &hashes[1]]);
        bus = other.bus;
    }
    tallies.push(tally);
    Ok(tallies)
}

/// Reading finds what is missing, and what is changed: any byte by the sum of the file, and with that made right, the section.
fn in_a_container(bytes: &[u8], first: Section, extent: Extent, random: &mut Random) -> Result<Vec<Tally>> {
    read(bytes).context("the container as it was written")?;
    let said = |bytes: &[u8]| read(bytes).err().map(|e| e.to_string());
    let (mut short, mut changed, mut patched) = (
        Tally::new("container cut short"),
        Tally::new("byte of a container"),
        Tally::new("section of a container, with the sum of the file made right"),
    );
    let payload = first_word(bytes).context("a container has a header")?;
    for _ in 0..extent.containers {
        let length = payload + random.below(bytes.len() - payload);
        short.note(&format!("{length} bytes"), said(&bytes[..length]), &["container is cut short", &format!("{length} bytes")]);
        // behind the lengths, which have messages of their own
        let at = payload + random.below(bytes.len() - payload);
        let mut other = bytes.to_vec();
        other[at] ^= 1 << random.below(8);
        changed.note(&format!("byte {at}"), said(&other), &["container is damaged: CRC-32 of the file"]);
    }
    // the payload begins with the first section
    for _ in 0..extent.containers {
        let mut other = bytes.to_vec();
        other[payload] ^= 1 << random.below(4);
        let sum = other.len() - 4;
        let crc = crc32fast::hash(&other[..sum]).to_le_bytes();
        other[sum..].copy_from_slice(&crc);
        patched.note(&first.to_string(), said(&other), &[&format!("container is damaged: CRC-32 of {first} is")]);
    }
    Ok(vec![short, changed, patched])
}
