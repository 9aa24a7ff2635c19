//! Signals whose width is a field, and the prelude of every kernel.
//!
//! rust-hdl's own signals carry their width in the type. A [`Wire`] carries it as a value, so that one Rust program
//! can build hardware of any width. It plugs into the unmodified crate: kernels are `#[hdl_gen]` functions, blocks
//! derive `LogicBlock`, and `use crate::signal::*` brings in all that both need.
//!
//! Contract: the writer in [`crate::verilog`] reads names, widths and the kernel's syntax. It never runs a kernel,
//! and neither does anything else: the values in a [`Word`] exist so that kernels typecheck, and are kept to the low
//! 64 bits without complaint. Widths must be at least one and below 2^20.

pub use crate::comment;
pub use crate::verilog::{Connections, Meta};
pub use rust_hdl::core::prelude::*;
pub use rust_hdl::prelude::{dff_setup, DFF};

use rust_hdl::core::ast::{VerilogLink, VerilogLinkDetails};
use std::cmp::Ordering;
use std::marker::PhantomData;

/// A comment for the Verilog, in a kernel before a statement: `comment!("waits for the consumer");`
#[macro_export]
macro_rules! comment {
    ($text:literal) => {};
}

/// The value of a [`Wire`]: what kernels compute with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Word {
    raw: u64,
    width: usize,
    /// Set by [`bit_cast_slice`] alone: the lowest bit taken.
    offset: Option<usize>,
}

/// As a slice's width in a kernel, `x.val().get_bits::<Fit>(i)`: as many bits as the place it goes to has.
///
/// Bits beyond the top of `x` read as zero, so `get_bits::<Fit>(0)` is also a resize. Unlike the `bit_cast` functions it
/// may name loop variables and elements of arrays.
#[allow(non_camel_case_types)]
pub enum Fit {}

/// The same word where the kernel's translation wants a value.
#[doc(hidden)]
#[allow(non_upper_case_globals)]
pub const Fit: usize = usize::MAX;

/// What a `bit_cast` function asks for, as the translated kernel carries it: one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cast {
    /// Zero-extend or truncate to a width.
    Resize(usize),
    /// Take `width` bits from `offset` on.
    Slice { offset: usize, width: usize },
}

impl Cast {
    const WIDTH_BITS: u32 = 20;
    const SLICE: usize = 1 << 60;

    fn encode(self) -> usize {
        match self {
            Cast::Resize(width) => width,
            Cast::Slice { offset, width } => Self::SLICE | offset << Self::WIDTH_BITS | width,
        }
    }

    pub(crate) fn decode(code: usize) -> Cast {
        let width = code & ((1 << Self::WIDTH_BITS) - 1);
        if code & Self::SLICE == 0 {
            return Cast::Resize(code);
        }
        Cast::Slice { offset: (code & !Self::SLICE) >> Self::WIDTH_BITS, width }
    }
}

fn mask(width: usize) -> u64 {
    if width >= 64 {
        u64::MAX
    } else {
        (1u64 << width) - 1
    }
}

impl Word {
    fn of(raw: u64, width: usize) -> Word {
        Word { raw: raw & mask(width), width, offset: None }
    }

    /// Called by the translation of the `bit_cast` functions; the writer decodes it.
    #[doc(hidden)]
    pub fn bits(&self) -> usize {
        let width = self.width;
        self.offset.map_or(Cast::Resize(width), |offset| Cast::Slice { offset, width }).encode()
    }

    /// One bit; the index is a number, a loop variable or a word.
    pub fn get_bit(self, index: impl Position) -> bool {
        self.raw.checked_shr(index.position() as u32).unwrap_or(0) & 1 == 1
    }

    /// The bits from `offset` on; see [`Fit`]. The offset is a number, a loop variable or a word.
    pub fn get_bits<T>(self, offset: impl Position) -> Word {
        Word::of(self.raw.checked_shr(offset.position() as u32).unwrap_or(0), self.width)
    }

    /// The same word with one bit exchanged.
    pub fn replace_bit(self, index: impl Position, bit: bool) -> Word {
        let one = 1u64.checked_shl(index.position() as u32).unwrap_or(0);
        Word::of(if bit { self.raw | one } else { self.raw & !one }, self.width)
    }

    /// Is any bit set?
    pub fn any(self) -> bool {
        self.raw != 0
    }

    /// Are all bits set?
    pub fn all(self) -> bool {
        self.raw == mask(self.width)
    }

    /// Is an odd number of bits set?
    pub fn xor(self) -> bool {
        self.raw.count_ones() % 2 == 1
    }

    /// As a number, for `match self.x.val().index() { 0 => .., _ => .. }`.
    pub fn index(self) -> usize {
        self.raw as usize
    }
}

/// What may stand where a bit position is wanted.
pub trait Position {
    /// The position as a number.
    fn position(self) -> usize;
}

impl Position for usize {
    fn position(self) -> usize {
        self
    }
}

impl Position for Word {
    fn position(self) -> usize {
        self.raw as usize
    }
}

/// Makes a loop variable a word: `self.x.val() == i.index()`.
pub trait LoopIndex {
    /// The variable as a word.
    fn index(self) -> Word;
}

impl LoopIndex for usize {
    fn index(self) -> Word {
        Word::of(self as u64, 64)
    }
}

/// A width, or something that has one.
pub trait Width {
    /// Bits.
    fn width(self) -> usize;
}

impl Width for usize {
    fn width(self) -> usize {
        self
    }
}

impl Width for &Word {
    fn width(self) -> usize {
        self.width
    }
}

/// Resizes: zero-extends or drops high bits. `like` is a number or a place, as `&self.sum.next`.
///
/// In a kernel all of the call is evaluated as plain Rust as well, so it can name `_fields` but no loop variables; in
/// a loop use [`Fit`].
pub fn bit_cast_to(x: Word, like: impl Width) -> Word {
    Word::of(x.raw, like.width())
}

/// The bits `offset .. offset + width`; both may be `_fields`, which no other slice allows.
pub fn bit_cast_slice(x: Word, offset: usize, width: usize) -> Word {
    let raw = x.raw.checked_shr(offset as u32).unwrap_or(0);
    Word { offset: Some(offset), ..Word::of(raw, width) }
}

/// A bit as a word, zero-extended.
pub fn bit_cast_bit(x: bool, like: impl Width) -> Word {
    Word::of(x.into(), like.width())
}

macro_rules! operator {
    ($trait:ident, $method:ident, $apply:expr) => {
        impl std::ops::$trait for Word {
            type Output = Word;
            fn $method(self, other: Word) -> Word {
                let apply: fn(u64, u64) -> u64 = $apply;
                Word::of(apply(self.raw, other.raw), self.width.max(other.width))
            }
        }
        impl std::ops::$trait<u64> for Word {
            type Output = Word;
            fn $method(self, other: u64) -> Word {
                let apply: fn(u64, u64) -> u64 = $apply;
                Word::of(apply(self.raw, other), self.width)
            }
        }
    };
}
operator!(Add, add, u64::wrapping_add);
operator!(Sub, sub, u64::wrapping_sub);
operator!(BitAnd, bitand, |a, b| a & b);
operator!(BitOr, bitor, |a, b| a | b);
operator!(BitXor, bitxor, |a, b| a ^ b);

macro_rules! shift {
    ($trait:ident, $method:ident, $apply:expr) => {
        impl<P: Position> std::ops::$trait<P> for Word {
            type Output = Word;
            fn $method(self, by: P) -> Word {
                let apply: fn(u64, u32) -> Option<u64> = $apply;
                Word::of(apply(self.raw, by.position() as u32).unwrap_or(0), self.width)
            }
        }
    };
}
shift!(Shl, shl, u64::checked_shl);
shift!(Shr, shr, u64::checked_shr);

impl std::ops::Not for Word {
    type Output = Word;
    fn not(self) -> Word {
        Word::of(!self.raw, self.width)
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Word) -> bool {
        self.raw == other.raw
    }
}

impl PartialEq<u64> for Word {
    fn eq(&self, other: &u64) -> bool {
        self.raw == *other
    }
}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Word) -> Option<Ordering> {
        self.raw.partial_cmp(&other.raw)
    }
}

impl PartialOrd<u64> for Word {
    fn partial_cmp(&self, other: &u64) -> Option<Ordering> {
        self.raw.partial_cmp(other)
    }
}

impl From<u64> for Word {
    fn from(raw: u64) -> Word {
        Word::of(raw, 64)
    }
}

/// A signal of run-time width: `Wire<In>`, `Wire<Out>` or `Wire<Local>`.
#[derive(Clone, Debug)]
pub struct Wire<D: Direction> {
    /// What a kernel assigns.
    pub next: Word,
    val: Word,
    changed: bool,
    claimed: bool,
    width: usize,
    id: usize,
    direction: PhantomData<D>,
}

impl<D: Direction> Wire<D> {
    /// A signal of `width` bits.
    pub fn new(width: usize) -> Self {
        assert!((1..1 << Cast::WIDTH_BITS).contains(&width), "a wire of {width} bits; widths are 1 to 2^20 - 1");
        let zero = Word::of(0, width);
        let id = rust_hdl::core::signal::get_signal_id();
        Wire { next: zero, val: zero, changed: false, claimed: false, width, id, direction: PhantomData }
    }

    /// What a kernel reads.
    pub fn val(&self) -> Word {
        self.val
    }
}

impl<D: Direction> Logic for Wire<D> {
    fn update(&mut self) {}
    fn connect(&mut self) {
        self.claimed = true;
    }
}

impl<D: Direction> Block for Wire<D> {
    fn connect_all(&mut self) {}
    fn update_all(&mut self) {
        self.next = Word::of(self.next.raw, self.width);
        self.changed = self.val != self.next;
        self.val = self.next;
    }
    fn has_changed(&self) -> bool {
        self.changed
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        probe.visit_atom(name, self)
    }
}

fn bits_descriptor(width: usize) -> TypeDescriptor {
    TypeDescriptor { name: format!("Word<{width}>"), kind: TypeKind::Bits(width) }
}

impl<D: Direction> Atom for Wire<D> {
    fn bits(&self) -> usize {
        self.width
    }
    fn connected(&self) -> bool {
        self.claimed
    }
    fn changed(&self) -> bool {
        self.changed
    }
    fn kind(&self) -> AtomKind {
        D::KIND
    }
    fn descriptor(&self) -> TypeDescriptor {
        bits_descriptor(self.width)
    }
    fn vcd(&self) -> VCDValue {
        VCDValue::Vector(vec![])
    }
    fn id(&self) -> usize {
        self.id
    }
    fn verilog(&self) -> VerilogLiteral {
        self.val.raw.into()
    }
    fn constraints(&self) -> Vec<PinConstraint> {
        vec![]
    }
}

fn link_details(my: &str, owner: &str, other: &str) -> VerilogLinkDetails {
    VerilogLinkDetails { my_name: my.into(), owner_name: owner.into(), other_name: other.into() }
}

// What `#[derive(LogicInterface)]` asks of the fields of a bundle.
impl Wire<In> {
    /// Joined bundles: an input takes the other side's output.
    pub fn join(&mut self, other: &mut Wire<Out>) {
        self.next = other.val();
    }
}

impl Wire<Out> {
    /// Joined bundles: an output drives the other side's input.
    pub fn join(&mut self, other: &mut Wire<In>) {
        other.next = self.val();
    }
}

impl LogicJoin for Wire<In> {
    fn join_connect(&mut self) {
        self.connect();
    }
    fn join_hdl(my: &str, owner: &str, other: &str) -> Vec<VerilogLink> {
        vec![VerilogLink::Backward(link_details(my, owner, other))]
    }
}

impl LogicJoin for Wire<Out> {
    fn join_connect(&mut self) {
        self.connect();
    }
    fn join_hdl(my: &str, owner: &str, other: &str) -> Vec<VerilogLink> {
        vec![VerilogLink::Forward(link_details(my, owner, other))]
    }
}

impl LogicLink for Wire<In> {
    fn link(&mut self, other: &mut Self) {
        other.next = self.val();
    }
    fn link_hdl(my: &str, owner: &str, other: &str) -> Vec<VerilogLink> {
        vec![VerilogLink::Forward(link_details(my, owner, other))]
    }
    fn link_connect_source(&mut self) {}
    fn link_connect_dest(&mut self) {
        self.connect();
    }
}

impl LogicLink for Wire<Out> {
    fn link(&mut self, other: &mut Self) {
        self.next = other.val();
    }
    fn link_hdl(my: &str, owner: &str, other: &str) -> Vec<VerilogLink> {
        vec![VerilogLink::Backward(link_details(my, owner, other))]
    }
    fn link_connect_source(&mut self) {
        self.connect();
    }
    fn link_connect_dest(&mut self) {}
}

/// A number with a width: a `localparam` of the module, named in capitals; `self.last.val()` in kernels.
///
/// Conditions and indices made of constants and loop variables alone are decided when the module is written.
#[derive(Clone, Debug)]
pub struct Const {
    value: u64,
    width: usize,
    id: usize,
}

impl Const {
    /// `value` in `width` bits; the writer refuses a value that does not fit.
    pub fn new(width: usize, value: u64) -> Const {
        Const { value, width, id: rust_hdl::core::signal::get_signal_id() }
    }

    /// What a kernel reads.
    pub fn val(&self) -> Word {
        Word::of(self.value, self.width)
    }
}

impl Logic for Const {
    fn update(&mut self) {}
}

impl Block for Const {
    fn connect_all(&mut self) {}
    fn update_all(&mut self) {}
    fn has_changed(&self) -> bool {
        false
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        probe.visit_atom(name, self)
    }
}

impl Atom for Const {
    fn bits(&self) -> usize {
        self.width
    }
    fn connected(&self) -> bool {
        true
    }
    fn changed(&self) -> bool {
        false
    }
    fn kind(&self) -> AtomKind {
        AtomKind::Constant
    }
    fn descriptor(&self) -> TypeDescriptor {
        bits_descriptor(self.width)
    }
    fn vcd(&self) -> VCDValue {
        VCDValue::Vector(vec![])
    }
    fn id(&self) -> usize {
        self.id
    }
    fn verilog(&self) -> VerilogLiteral {
        self.value.into()
    }
    fn constraints(&self) -> Vec<PinConstraint> {
        vec![]
    }
}

/// A register of run-time width: `q` takes `d` at the rising edge of `clock`. Without an initial value it powers up
/// unknown: reset it in the kernel, or let a valid bit say when it counts.
#[derive(LogicBlock)]
pub struct Reg {
    /// The next value; give it a default with `dff_setup!`.
    pub d: Wire<In>,
    /// The value.
    pub q: Wire<Out>,
    /// The clock.
    pub clock: Signal<In, Clock>,
    _initial: Option<String>,
}

impl Reg {
    /// A register of `width` bits.
    pub fn new(width: usize) -> Reg {
        Reg { d: Wire::new(width), q: Wire::new(width), clock: Default::default(), _initial: None }
    }

    /// A register that powers up as `value` (`initial` in the Verilog: FPGAs only).
    pub fn with_initial(width: usize, value: u64) -> Reg {
        Reg { _initial: Some(value.to_string()), ..Reg::new(width) }
    }
}

impl Logic for Reg {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.q.next = self.d.val();
        }
    }
    fn connect(&mut self) {
        self.q.connect();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::register(self._initial.as_deref())
    }
}

/// A one-bit register.
#[derive(LogicBlock, Default)]
pub struct Flag {
    /// The next value; give it a default with `dff_setup!`.
    pub d: Signal<In, Bit>,
    /// The value.
    pub q: Signal<Out, Bit>,
    /// The clock.
    pub clock: Signal<In, Clock>,
    _initial: Option<String>,
}

impl Flag {
    /// A flag that powers up unknown.
    pub fn new() -> Flag {
        Flag::default()
    }

    /// A flag that powers up as `value`.
    pub fn with_initial(value: bool) -> Flag {
        Flag { _initial: Some(u8::from(value).to_string()), ..Flag::default() }
    }

    /// A flag that powers up set where the module's parameter of this name is not zero; the block that holds the flag
    /// must declare the parameter in its [`Meta`].
    pub fn with_initial_parameter(name: &str) -> Flag {
        Flag { _initial: Some(name.into()), ..Flag::default() }
    }
}

impl Logic for Flag {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.q.next = self.d.val();
        }
    }
    fn connect(&mut self) {
        self.q.connect();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::register(self._initial.as_deref())
    }
}
