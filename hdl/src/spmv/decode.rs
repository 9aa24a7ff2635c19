//! From the weight field of an entry to the weight's value, in one cycle.

use super::Widths;
use crate::prim::{Memory, Style};
use crate::signal::*;
use lacuna_compress::spec::arch::Arch;
use lacuna_compress::spec::layout::memory_address_bits;
use lacuna_compress::spec::{MemoryKind, WeightForm};

/// Codebook or direct: one of `codebook` and `direct` has one element, the other none.
#[derive(LogicBlock)]
pub struct Decode {
    pub clock: Signal<In, Clock>,
    pub enable: Signal<In, Bit>,
    pub layer: Wire<In>,
    pub field: Wire<In>,
    pub weight: Wire<Out>,
    pub host_read: Signal<In, Bit>,
    pub host_write: Signal<In, Bit>,
    pub host_address: Wire<In>,
    pub host_data: Wire<In>,
    pub host_word: Wire<Out>,
    codebook: Vec<Memory>,
    direct: Vec<Reg>,
    unused_host: Signal<Local, Bit>,
    _codebooks: usize,
    _directs: usize,
    _bits: usize,
    _address: usize,
}

impl Decode {
    pub fn new(arch: &Arch) -> Decode {
        let w = Widths::of(arch);
        let value = arch.weight_value_bits();
        let has_codebook = arch.weights == WeightForm::Codebook;
        let address = if has_codebook { memory_address_bits(MemoryKind::Codebook, arch) } else { 1 };
        let codebook = || Memory::new(Style::Block, value, arch.codebook_depth(), Some("codebook"));
        Decode {
            clock: Default::default(),
            enable: Default::default(),
            layer: Wire::new(w.layer),
            field: Wire::new(arch.weight_bits),
            weight: Wire::new(value),
            host_read: Default::default(),
            host_write: Default::default(),
            host_address: Wire::new(address),
            host_data: Wire::new(value),
            host_word: Wire::new(value),
            codebook: has_codebook.then(codebook).into_iter().collect(),
            direct: (!has_codebook).then(|| Reg::new(value)).into_iter().collect(),
            unused_host: Default::default(),
            _codebooks: usize::from(has_codebook),
            _directs: usize::from(!has_codebook),
            _bits: arch.weight_bits,
            _address: address,
        }
    }
}

impl Logic for Decode {
    #[hdl_gen]
    fn update(&mut self) {
        for i in 0..(self._codebooks) {
            self.codebook[i].clock.next = self.clock.val();
            self.codebook[i].read_enable.next = self.enable.val() | self.host_read.val();
            self.codebook[i].read_address.next = bit_cast_to(
                (bit_cast_to(self.layer.val(), self._address) << self._bits) | bit_cast_to(self.field.val(), self._address),
                self._address,
            );
            if self.host_read.val() {
                self.codebook[i].read_address.next = self.host_address.val();
            }
            self.codebook[i].write_enable.next = self.host_write.val();
            self.codebook[i].write_address.next = self.host_address.val();
            self.codebook[i].write_data.next = self.host_data.val();
            self.weight.next = self.codebook[i].read_data.val();
            self.host_word.next = self.codebook[i].read_data.val();
        }
        for i in 0..(self._directs) {
            self.direct[i].clock.next = self.clock.val();
            self.direct[i].d.next = self.field.val();
            self.weight.next = self.direct[i].q.val();
            self.host_word.next = 0.into();
        }
        self.unused_host.next = self.enable.val()
            ^ self.host_read.val()
            ^ self.host_write.val()
            ^ self.layer.val().any()
            ^ self.host_address.val().any()
            ^ self.host_data.val().any();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        let meta = Meta::new("decode")
            .doc(
                "Weight decode: the value of a weight one cycle after its field.\n\
                 \n\
                 With a codebook the field is a code, and the value is word (layer, code) of the codebook. Without, the\n\
                 field is the value, and the host ports do nothing.",
            )
            .value("_bits", self._bits);
        if self._codebooks == 0 {
            return meta.into_timing();
        }
        meta.parameter("PRELOAD", "0", "PRELOAD").parameter("IMAGE", "\"\"", "IMAGE").into_timing()
    }
}
