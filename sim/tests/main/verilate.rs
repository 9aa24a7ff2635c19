//! A register file on AXI4-Lite, from Verilog text to a model that runs.
use std::path::Path;
use std::time::{Duration, Instant};

use lacuna_sim::coverage::{Coverage, Kind};
use lacuna_sim::dut::{AxiWrite, Dut, Refused, Response};
use lacuna_sim::verilate::{runtime_version, verilator_version, Build, Error, Library, Optimize, Port, Source};

/// Registers at 0x00 to 0x3c, a counter at 0x40, a memory of four words read from a file at 0x80; else SLVERR.
/// While `mute` is high it answers nothing.
const REGISTERS: &str = r#"module registers #(
    parameter [31:0] START = 32'd5,
    parameter [1023:0] IMAGE = "@images/"
) (
    input wire clock,
    input wire reset,
    input wire mute,
    input wire [99:0] wide_in,
    output wire [99:0] wide_out,
    output wire [15:0] power_on,
    output reg [31:0] counter,
    input wire [7:0] s_axi_awaddr,
    input wire s_axi_awvalid,
    output wire s_axi_awready,
    input wire [31:0] s_axi_wdata,
    input wire [3:0] s_axi_wstrb,
    input wire s_axi_wvalid,
    output wire s_axi_wready,
    output reg [1:0] s_axi_bresp,
    output reg s_axi_bvalid,
    input wire s_axi_bready,
    input wire [7:0] s_axi_araddr,
    input wire s_axi_arvalid,
    output wire s_axi_arready,
    output reg [31:0] s_axi_rdata,
    output reg [1:0] s_axi_rresp,
    output reg s_axi_rvalid,
    input wire s_axi_rready
);
    reg [31:0] file [0:15];
    reg [31:0] image [0:3];
    reg [15:0] untouched;
    initial $readmemh({IMAGE, "words.hex"}, image);

    assign power_on = untouched;
    assign wide_out = ~wide_in;

    reg aw_held;
    reg [7:0] aw;
    reg w_held;
    reg [31:0] w;
    reg [3:0] strobes;
    assign s_axi_awready = !aw_held && !mute;
    assign s_axi_wready = !w_held && !mute;
    wire write = aw_held && w_held && !s_axi_bvalid;
    wire write_hit = aw[7:6] == 2'd0 && aw[1:0] == 2'd0;
    wire [31:0] mask = {{8{strobes[3]}}, {8{strobes[2]}}, {8{strobes[1]}}, {8{strobes[0]}}};

    assign s_axi_arready = !s_axi_rvalid && !mute;
    wire [7:0] ar = s_axi_araddr;

    always @(posedge clock) begin
        counter <= counter + 32'd1;
        untouched <= untouched;
        if (s_axi_awvalid && s_axi_awready) begin
            aw_held <= 1'b1;
            aw <= s_axi_awaddr;
        end
        if (s_axi_wvalid && s_axi_wready) begin
            w_held <= 1'b1;
            w <= s_axi_wdata;
            strobes <= s_axi_wstrb;
        end
        if (s_axi_bvalid && s_axi_bready) s_axi_bvalid <= 1'b0;
        if (write) begin
            aw_held <= 1'b0;
            w_held <= 1'b0;
            s_axi_bvalid <= 1'b1;
            s_axi_bresp <= write_hit ? 2'd0 : 2'd2;
            if (write_hit) file[aw[5:2]] <= (file[aw[5:2]] & ~mask) | (w & mask);
        end
        if (s_axi_rvalid && s_axi_rready) s_axi_rvalid <= 1'b0;
        if (s_axi_arvalid && s_axi_arready) begin
            s_axi_rvalid <= 1'b1;
            s_axi_rresp <= 2'd0;
            case (ar[7:6])
                2'd0: s_axi_rdata <= file[ar[5:2]];
                2'd1: s_axi_rdata <= counter;
                2'd2: s_axi_rdata <= image[ar[3:2]];
                default: s_axi_rresp <= 2'd2;
            endcase
            if (ar[1:0] != 2'd0) s_axi_rresp <= 2'd2;
        end
        if (reset) begin
            counter <= START;
            aw_held <= 1'b0;
            w_held <= 1'b0;
            s_axi_bvalid <= 1'b0;
            s_axi_rvalid <= 1'b0;
        end
    end
endmodule
"#;

fn port(name: &str, width: u32, input: bool) -> Port {
    Port { name: name.into(), width, input }
}

fn registers() -> Build {
    let ports = [
        ("clock", 1, true),
        ("reset", 1, true),
        ("mute", 1, true),
        ("wide_in", 100, true),
        ("wide_out", 100, false),
        ("power_on", 16, false),
        ("counter", 32, false),
        ("s_axi_awaddr", 8, true),
        ("s_axi_awvalid", 1, true),
        ("s_axi_awready", 1, false),
        ("s_axi_wdata", 32, true),
        ("s_axi_wstrb", 4, true),
        ("s_axi_wvalid", 1, true),
        ("s_axi_wready", 1, false),
        ("s_axi_bresp", 2, false),
        ("s_axi_bvalid", 1, false),
        ("s_axi_bready", 1, true),
        ("s_axi_araddr", 8, true),
        ("s_axi_arvalid", 1, true),
        ("s_axi_arready", 1, false),
        ("s_axi_rdata", 32, false),
        ("s_axi_rresp", 2, false),
        ("s_axi_rvalid", 1, false),
        ("s_axi_rready", 1, true),
    ];
    let sources = vec![Source { name: "registers".into(), text: REGISTERS.into() }];
    let ports = ports.iter().map(|&(name, width, input)| port(name, width, input)).collect();
    Build { trace: true, axi_lite: Some("s_axi_".into()), ..Build::plain("registers", sources, ports) }
}

fn counter() -> Build {
    let text = "module counter(input wire clock, input wire up, output reg [63:0] count);\n\
                always @(posedge clock) if (up) count <= count + 64'd1; else count <= 64'd0;\n\
                endmodule\n";
    let sources = vec![Source { name: "counter".into(), text: text.into() }];
    let ports = vec![port("clock", 1, true), port("up", 1, true), port("count", 64, false)];
    Build { optimize: Optimize::Fast, ..Build::plain("counter", sources, ports) }
}

/// One cache for all tests: under `target`, so that a second run of the tests is fast.
fn cached(build: &Build) -> Library {
    build.library(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("models")).unwrap()
}

fn images() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("words.hex"), "deadbeef\n00000001\n00000002\nffffffff\n").unwrap();
    directory
}

fn started(seed: u64) -> Dut {
    let mut dut = Dut::with_images(&cached(&registers()), seed, images().path()).unwrap();
    dut.reset(2).unwrap();
    dut
}

#[test]
fn linked_runtime_is_the_verilator_on_path() {
    assert!(verilator_version().unwrap().contains(&runtime_version()));
}

#[test]
fn second_build_comes_from_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    let build = counter();
    assert!(!build.library(cache.path()).unwrap().cached());
    let start = Instant::now();
    assert!(build.library(cache.path()).unwrap().cached());
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());

    let mut other = counter();
    other.sources[0].text.push_str("// Another text\n");
    assert!(!other.library(cache.path()).unwrap().cached());
}

#[test]
fn killed_build_is_not_taken_for_a_library() {
    let cache = tempfile::tempdir().unwrap();
    let left = cache.path().join(".building-left");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("dut.so"), "half a library").unwrap();
    let library = counter().library(cache.path()).unwrap();
    assert!(!library.cached());
    Dut::new(&library, 1).unwrap();
}

#[test]
fn two_builders_of_one_model_both_get_it() {
    let cache = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        let both: Vec<_> = (0..2).map(|_| scope.spawn(|| counter().library(cache.path()).unwrap())).collect();
        for library in both {
            let mut dut = Dut::new(&library.join().unwrap(), 1).unwrap();
            dut.step(1).unwrap();
            assert_eq!(dut.get("count").unwrap(), 0);
        }
    });
}

#[test]
fn counter_counts_cycles() {
    let mut dut = Dut::new(&cached(&counter()), 1).unwrap();
    dut.step(1).unwrap();
    dut.set("up", 1).unwrap();
    dut.step(1_000_000).unwrap();
    assert_eq!((dut.get("count").unwrap(), dut.cycles()), (1_000_000, 1_000_001));
}

#[test]
fn initial_state_follows_the_seed() {
    let library = cached(&registers());
    let images = images();
    let initial = |seed| Dut::with_images(&library, seed, images.path()).unwrap().get("power_on").unwrap();
    let values: Vec<u64> = (0..8).map(initial).collect();
    assert_eq!(values, (0..8).map(initial).collect::<Vec<_>>());
    assert!(values.windows(2).all(|pair| pair[0] != pair[1]), "{values:x?}");
}

#[test]
fn initial_state_follows_the_seed_on_many_threads() {
    let library = cached(&registers());
    let images = images();
    let initial = |seed| Dut::with_images(&library, seed, images.path()).unwrap().get("power_on").unwrap();
    let alone: Vec<u64> = (0..16).map(initial).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|seed| scope.spawn(move || initial(seed))).collect();
        let together: Vec<u64> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(together, alone);
    });
}

#[test]
fn wide_ports_go_through_lanes() {
    let mut dut = started(1);
    dut.set_wide("wide_in", &[0x0123_4567, 0, u32::MAX, 5]).unwrap();
    assert_eq!(dut.get_wide("wide_out").unwrap(), [!0x0123_4567, u32::MAX, 0, 10]);
    for (lanes, part) in [(vec![0, 0, 0, 16], "does not fit its 100 bits"), (vec![0; 3], "takes 4 lanes, found 3")] {
        let error = dut.set_wide("wide_in", &lanes).unwrap_err().to_string();
        assert!(error.contains("registers, port wide_in") && error.contains(part), "{error}");
    }
    assert!(dut.get("wide_in").unwrap_err().to_string().contains("get_wide"));
}

#[test]
fn values_and_names_of_ports_are_checked() {
    let mut dut = started(1);
    for (port, value, part) in [("mute", 2, "0x2 does not fit its 1 bits"), ("counter", 0, "is an output"), ("mutee", 0, "no such port")] {
        let error = dut.set(port, value).unwrap_err().to_string();
        assert!(error.contains(port) && error.contains(part), "{error}");
    }
}

#[test]
fn parameters_reach_the_design() {
    let directory = images();
    let mut build = registers();
    build.parameters = vec![("START".into(), "77".into()), ("IMAGE".into(), format!("\"{}/\"", directory.path().display()))];
    // The image's directory is part of the key, so a lasting cache would only grow.
    let cache = tempfile::tempdir().unwrap();
    let mut dut = Dut::new(&build.library(cache.path()).unwrap(), 1).unwrap();
    dut.reset(1).unwrap();
    assert_eq!(dut.get("counter").unwrap(), 77);
    assert_eq!(dut.axi_read(0x80).unwrap(), (0xdead_beef, Response::Okay));
}

#[test]
fn one_library_serves_different_images() {
    let library = cached(&registers());
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("words.hex"), "1\n2\n3\n4\n").unwrap();
    let first = images();
    for (directory, word) in [(first.path(), 0xdead_beef), (other.path(), 1)] {
        let mut dut = Dut::with_images(&library, 1, directory).unwrap();
        dut.reset(1).unwrap();
        assert_eq!(dut.axi_read(0x80).unwrap().0, word);
    }
}

#[test]
fn bad_image_is_an_error_that_names_the_file() {
    let library = cached(&registers());
    let directory = tempfile::tempdir().unwrap();
    let error = Dut::with_images(&library, 1, directory.path()).unwrap_err().to_string();
    assert!(error.contains("words.hex") && error.contains("not found"), "{error}");

    std::fs::write(directory.path().join("words.hex"), "1\n2\n3\n4\n5\n").unwrap();
    let error = Dut::with_images(&library, 1, directory.path()).unwrap_err().to_string();
    assert!(error.contains("words.hex") && error.contains("beyond bounds"), "{error}");

    let error = Dut::new(&library, 1).unwrap_err().to_string();
    assert!(error.contains("without a directory of images"), "{error}");
}

#[test]
fn bursts_arrive_whatever_the_stalls() {
    for (percent, outstanding) in [(0, 1), (0, 4), (30, 1), (30, 4), (90, 16)] {
        let seed = u64::from(percent * 100 + outstanding);
        let mut dut = started(seed);
        dut.axi_limits(10_000, outstanding).unwrap();
        dut.axi_stalls(seed, percent).unwrap();
        let writes: Vec<_> = (0..16).map(|i| AxiWrite::word(4 * i, 0x0101_0101 * i)).collect();
        assert_eq!(dut.axi_write_burst(&writes).unwrap(), None, "{percent}% {outstanding}");
        let half = AxiWrite { address: 4, data: 0xaabb_ccdd, strobes: 0b0101 };
        assert_eq!(dut.axi_write_burst(&[half]).unwrap(), None);
        let addresses: Vec<u32> = (0..16).map(|i| 4 * i).collect();
        let read = dut.axi_read_burst(&addresses).unwrap();
        let expected = |i: u32| if i == 1 { 0x01bb_01dd } else { 0x0101_0101 * i };
        assert_eq!(read, (0..16).map(|i| (expected(i), Response::Okay)).collect::<Vec<_>>(), "{percent}% {outstanding}");
    }
}

#[test]
fn stalls_repeat_with_their_seed() {
    let cycles = |seed| {
        let mut dut = started(1);
        dut.axi_stalls(seed, 50).unwrap();
        dut.axi_write_burst(&[AxiWrite::word(0, 1); 20]).unwrap();
        dut.cycles()
    };
    assert_eq!(cycles(1), cycles(1));
    assert!((2..6).any(|seed| cycles(seed) != cycles(1)));
    assert!(started(1).axi_stalls(1, 100).unwrap_err().to_string().contains("at most 95%"));
}

#[test]
fn refused_write_ends_its_burst() {
    let mut dut = started(1);
    dut.axi_write(8, 1).unwrap();
    let burst = [AxiWrite::word(0, 1), AxiWrite::word(0xc0, 2), AxiWrite::word(8, 3)];
    let refused = dut.axi_write_burst(&burst).unwrap();
    assert_eq!(refused, Some(Refused { index: 1, response: Response::SlvErr }));
    assert_eq!(
        dut.axi_read_burst(&[8, 0xc0, 0]).unwrap().iter().map(|r| r.1).collect::<Vec<_>>(),
        [Response::Okay, Response::SlvErr, Response::Okay]
    );
    assert_eq!(dut.axi_read(8).unwrap().0, 1);
    assert!(dut.axi_read(0x100).unwrap_err().to_string().contains("address 0x100 does not fit its 8 bits"));
}

#[test]
fn mute_slave_is_a_timeout() {
    let mut dut = started(1);
    dut.axi_limits(100, 1).unwrap();
    dut.set("mute", 1).unwrap();
    let start = dut.cycles();
    for error in [dut.axi_write(0x10, 1).unwrap_err(), dut.axi_read(0x10).map(|_| ()).unwrap_err()] {
        assert!(matches!(error, Error::Timeout { limit: 100, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("0x10") && text.contains("ready"), "{text}");
    }
    assert!(dut.cycles() - start <= 202);
    dut.set("mute", 0).unwrap();
    dut.reset(1).unwrap();
    assert_eq!(dut.axi_write(0x10, 1).unwrap(), Response::Okay);
}

#[test]
fn dropped_bvalid_is_a_protocol_error() {
    let mut build = registers();
    let kept = "if (s_axi_bvalid && s_axi_bready) s_axi_bvalid";
    let dropped = "if (s_axi_bvalid && (s_axi_bready || counter[2])) s_axi_bvalid";
    assert!(build.sources[0].text.contains(kept));
    build.sources[0].text = build.sources[0].text.replace(kept, dropped);
    let mut dut = Dut::with_images(&cached(&build), 1, images().path()).unwrap();
    dut.reset(1).unwrap();
    dut.axi_stalls(1, 80).unwrap();
    let error = dut.axi_write_burst(&[AxiWrite::word(0, 1); 50]).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    assert!(error.to_string().contains("bvalid fell before bready"), "{error}");
}

#[test]
fn poll_and_wait_end_at_the_value_or_the_limit() {
    let mut dut = started(1);
    assert!(dut.axi_poll(0x40, 0x40, 0x40, 1000).unwrap() > 40);
    assert!(matches!(dut.axi_poll(0x80, u32::MAX, 7, 50), Err(Error::Timeout { limit: 50, .. })));
    assert!(dut.axi_poll(0xc0, 1, 1, 50).unwrap_err().to_string().contains("SlvErr"));

    let now = dut.get("counter").unwrap();
    assert_eq!(dut.wait("counter", u64::MAX, now + 9, 100).unwrap(), 9);
    assert_eq!(dut.wait("counter", u64::MAX, now + 9, 0).unwrap(), 0);
    let error = dut.wait("counter", u64::MAX, 0, 20).unwrap_err();
    assert!(matches!(error, Error::Timeout { limit: 20, .. }), "{error}");
}

#[test]
fn waveform_names_the_ports() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = ["a.vcd", "b.vcd"].map(|name| directory.path().join(name));
    let mut dut = started(1);
    dut.trace_to(&first).unwrap();
    dut.step(5).unwrap();
    dut.trace_to(&second).unwrap();
    dut.step(5).unwrap();
    drop(dut);
    for path in [first, second] {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("$enddefinitions") && text.lines().filter(|l| l.starts_with('#')).count() >= 9);
        for name in ["s_axi_awvalid", "counter", "wide_out"] {
            assert!(text.contains(&format!(" {name} ")), "{name}");
        }
    }
    let error = started(1).trace_to(Path::new("/nowhere/a.vcd")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/a.vcd: cannot be written"), "{error}");
    let untraced = Dut::new(&cached(&counter()), 1).unwrap().trace_to(Path::new("x.vcd")).unwrap_err().to_string();
    assert!(untraced.contains("without `trace`"), "{untraced}");
}

#[test]
fn models_in_one_process_do_not_share_state() {
    let mut one = started(1);
    let mut two = started(2);
    let mut other = Dut::new(&cached(&counter()), 3).unwrap();
    one.axi_write(0, 111).unwrap();
    two.axi_write(0, 222).unwrap();
    other.step(10).unwrap();
    drop(other);
    let moved = std::thread::spawn(move || one.axi_read(0).unwrap().0).join().unwrap();
    assert_eq!((moved, two.axi_read(0).unwrap().0), (111, 222));
}

#[test]
fn fatal_in_the_design_is_an_error_and_stays_one() {
    let mut build = counter();
    build.top = "stops".into();
    build.sources = vec![Source {
        name: "stops".into(),
        text: "module stops(input wire clock, input wire up, output reg [63:0] count);\n\
               always @(posedge clock) begin count <= up ? count + 64'd1 : 64'd0; if (count == 64'd3) $stop; end\n\
               endmodule\n"
            .into(),
    }];
    let mut dut = Dut::new(&cached(&build), 1).unwrap();
    dut.step(1).unwrap();
    dut.set("up", 1).unwrap();
    for _ in 0..2 {
        let error = dut.step(100).unwrap_err();
        assert!(matches!(&error, Error::Model { cycle: 4, .. }), "{error}");
        assert!(error.to_string().contains("$stop"), "{error}");
    }
}

#[test]
fn lint_warning_is_an_error_with_its_text() {
    let mut build = counter();
    build.sources[0].text = build.sources[0].text.replace("64'd1", "65'd1");
    let error = build.library(tempfile::tempdir().unwrap().path()).unwrap_err();
    assert!(matches!(error, Error::Tool { .. }));
    let text = error.to_string();
    assert!(text.contains("verilator failed on design counter") && text.contains("%Warning-WIDTH: src/counter.v:2"), "{text}");
    assert!(text.lines().count() < 50);
}

#[test]
fn listed_ports_are_held_against_the_verilog() {
    let cache = tempfile::tempdir().unwrap();
    let error = |ports: Vec<Port>| Build { ports, ..counter() }.library(cache.path()).unwrap_err().to_string();
    let clock = || port("clock", 1, true);
    for (ports, part) in [
        (
            vec![clock(), port("up", 1, true), port("count", 63, false)],
            "port count: expected an output of 63 bits, the Verilog has output of 64 bits",
        ),
        (vec![clock(), port("up", 1, false)], "port up: expected an output of 1 bits, the Verilog has input of 1 bits"),
        (vec![clock(), port("up", 1, true), port("down", 1, true)], "port down: expected an input of 1 bits, the Verilog has no such port"),
        (vec![clock()], "port up: an input of the Verilog that is not listed"),
        (vec![port("up", 1, true)], "port clock: expected an input of 1 bits, found none"),
    ] {
        let text = error(ports);
        assert!(text.contains(part), "{text}");
    }
    let half_a_bus = Build { axi_lite: Some("up".into()), ..counter() };
    assert!(half_a_bus.library(cache.path()).unwrap_err().to_string().contains("port upawaddr: expected an input of 1 to 32 bits"));
}

#[test]
fn coverage_tells_lines_that_ran_and_bits_that_changed_from_others() {
    let build = Build { coverage: true, optimize: Optimize::Draft, ..counter() };
    assert!(Dut::new(&cached(&counter()), 1).unwrap().coverage().unwrap().is_none(), "not built for it");
    let mut dut = Dut::new(&cached(&build), 1).unwrap();
    dut.step(1).unwrap();
    dut.coverage_from_here().unwrap();
    let mut found = |up: u64, cycles: u64| {
        dut.set("up", up).unwrap();
        dut.step(cycles).unwrap();
        dut.coverage().unwrap().unwrap()
    };
    let count = |c: &Coverage, what: &str| {
        let points: Vec<u64> = c.0.iter().filter(|(p, _)| p.module == "counter" && p.what == what).map(|(_, n)| *n).collect();
        assert_eq!(points.len(), 1, "{what}: {c:?}");
        points[0]
    };
    let counting = found(1, 5);
    // 0 to 5: bit 0 changes each time, bit 1 at 2 and 4, bit 2 at 4
    assert_eq!(
        ["if", "else", "count[0]", "count[1]", "count[2]", "count[3]", "up"].map(|what| count(&counting, what)),
        [5, 0, 5, 2, 1, 0, 1]
    );
    let cleared = found(0, 2);
    assert_eq!(["if", "else", "count[0]", "count[1]", "count[2]"].map(|what| count(&cleared, what)), [0, 2, 1, 0, 1], "counted anew");
    let mut both = counting.clone();
    both.add(&cleared);
    assert_eq!(["if", "else", "count[2]"].map(|what| count(&both, what)), [5, 2, 2]);
    let lines: Vec<(usize, Kind)> = both.0.keys().filter(|p| p.what == "else").map(|p| (p.line, p.kind)).collect();
    assert_eq!(lines, [(2, Kind::Line)]);
}
