//! The source rows of a layer, place after place.

use crate::signal::*;
use crate::spmv::{Widths, ROW_BITS};
use lacuna_compress::spec::arch::Arch;

#[derive(LogicBlock)]
pub struct PatchWalk {
    pub clock: Signal<In, Clock>,
    pub clear: Signal<In, Bit>,
    pub begin_layer: Signal<In, Bit>,
    pub advance: Signal<In, Bit>,
    pub source_rows: Wire<In>,
    pub run_rows: Wire<In>,
    pub line_rows: Wire<In>,
    pub step_x: Wire<In>,
    pub step_y: Wire<In>,
    pub out_width: Wire<In>,
    pub out_height: Wire<In>,
    pub row: Wire<Out>,
    pub over: Signal<Out, Bit>,
    // the row, the start of its run, of its place, of its line of places
    at: Reg,
    run_start: Reg,
    place_start: Reg,
    line_start: Reg,
    // rows of the run and of the patch up to this one; places of the line and lines up to this one
    in_run: Reg,
    in_patch: Reg,
    x: Reg,
    y: Reg,
    ended: Flag,
    next_run: Wire<Local>,
    next_place: Wire<Local>,
    next_line: Wire<Local>,
}

impl PatchWalk {
    pub fn new(arch: &Arch) -> PatchWalk {
        let act = Widths::of(arch).act;
        PatchWalk {
            clock: Default::default(),
            clear: Default::default(),
            begin_layer: Default::default(),
            advance: Default::default(),
            source_rows: Wire::new(ROW_BITS),
            run_rows: Wire::new(ROW_BITS),
            line_rows: Wire::new(act),
            step_x: Wire::new(act),
            step_y: Wire::new(act),
            out_width: Wire::new(ROW_BITS),
            out_height: Wire::new(ROW_BITS),
            row: Wire::new(act),
            over: Default::default(),
            at: Reg::new(act),
            run_start: Reg::new(act),
            place_start: Reg::new(act),
            line_start: Reg::new(act),
            in_run: Reg::new(ROW_BITS),
            in_patch: Reg::new(ROW_BITS),
            x: Reg::new(ROW_BITS),
            y: Reg::new(ROW_BITS),
            ended: Flag::new(),
            next_run: Wire::new(act),
            next_place: Wire::new(act),
            next_line: Wire::new(act),
        }
    }
}

impl Logic for PatchWalk {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, at, run_start, place_start, line_start, in_run, in_patch, x, y, ended);
        self.next_run.next = self.run_start.q.val() + self.line_rows.val();
        self.next_place.next = self.place_start.q.val() + self.step_x.val();
        self.next_line.next = self.line_start.q.val() + self.step_y.val();
        if self.advance.val() {
            self.at.d.next = self.at.q.val() + 1;
            self.in_run.d.next = self.in_run.q.val() + 1;
            self.in_patch.d.next = self.in_patch.q.val() + 1;
            if self.in_patch.q.val() == self.source_rows.val() {
                self.in_run.d.next = 1.into();
                self.in_patch.d.next = 1.into();
                if self.x.q.val() != self.out_width.val() {
                    self.x.d.next = self.x.q.val() + 1;
                    self.at.d.next = self.next_place.val();
                    self.run_start.d.next = self.next_place.val();
                    self.place_start.d.next = self.next_place.val();
                } else {
                    self.x.d.next = 1.into();
                    self.y.d.next = self.y.q.val() + 1;
                    self.at.d.next = self.next_line.val();
                    self.run_start.d.next = self.next_line.val();
                    self.place_start.d.next = self.next_line.val();
                    self.line_start.d.next = self.next_line.val();
                    if self.y.q.val() == self.out_height.val() {
                        self.ended.d.next = true;
                    }
                }
            } else if self.in_run.q.val() == self.run_rows.val() {
                self.in_run.d.next = 1.into();
                self.at.d.next = self.next_run.val();
                self.run_start.d.next = self.next_run.val();
            }
        }
        if self.begin_layer.val() {
            self.at.d.next = 0.into();
            self.run_start.d.next = 0.into();
            self.place_start.d.next = 0.into();
            self.line_start.d.next = 0.into();
            self.in_run.d.next = 1.into();
            self.in_patch.d.next = 1.into();
            self.x.d.next = 1.into();
            self.y.d.next = 1.into();
            self.ended.d.next = false;
        }
        if self.clear.val() {
            self.ended.d.next = true;
        }
        self.row.next = self.at.q.val();
        self.over.next = self.ended.q.val();
    }
    fn timing(&self) -> Vec<TimingInfo> {
        Meta::new("patch_walk")
            .doc(
                "PatchWalk: the source rows of a layer in the order of the scan.\n\
                 \n\
                 begin_layer goes to row 0, advance to the next row: of a run, else of the next run of the patch\n\
                 (line_rows on), else of the next place (step_x on), else of the next line of places (step_y on). The\n\
                 layer's record need not be there before the first advance. over: there is no row, the last one has been\n\
                 left; also after clear.",
            )
            .into_timing()
    }
}
