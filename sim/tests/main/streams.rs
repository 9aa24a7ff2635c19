//! The AXI4-Stream master and slave of the shim, on a small loopback.
use lacuna_sim::dut::{Dut, StreamBeat};
use lacuna_sim::verilate::{default_cache, Build, Error, Library, Optimize, Port, Source, Streams};

/// A queue of four beats: what comes out is the data plus 1. Register 0 counts the beats that went in. `fault` breaks
/// a rule of the output: 1 drops `valid`, 2 changes data, 3 changes TDEST, 4 changes TLAST, all while waiting.
const LOOPBACK: &str = r#"module loopback (
    input wire clock,
    input wire reset,
    input wire [2:0] fault,
    input wire mute,
    output wire [31:0] users,
    input wire [7:0] s_axi_awaddr,
    input wire s_axi_awvalid,
    output wire s_axi_awready,
    input wire [31:0] s_axi_wdata,
    input wire [3:0] s_axi_wstrb,
    input wire s_axi_wvalid,
    output wire s_axi_wready,
    output wire [1:0] s_axi_bresp,
    output wire s_axi_bvalid,
    input wire s_axi_bready,
    input wire [7:0] s_axi_araddr,
    input wire s_axi_arvalid,
    output wire s_axi_arready,
    output reg [31:0] s_axi_rdata,
    output wire [1:0] s_axi_rresp,
    output reg s_axi_rvalid,
    input wire s_axi_rready,
    input wire [15:0] s_axis_tdata,
    input wire [4:0] s_axis_tdest,
    input wire s_axis_tuser,
    input wire s_axis_tlast,
    input wire s_axis_tvalid,
    output wire s_axis_tready,
    output wire [15:0] m_axis_tdata,
    output wire [4:0] m_axis_tdest,
    output wire m_axis_tlast,
    output wire m_axis_tvalid,
    input wire m_axis_tready
);
    reg [21:0] queue [0:3];
    reg [2:0] head;
    reg [2:0] tail;
    reg [31:0] count;
    reg [31:0] seen_users;
    reg [3:0] waited;
    wire [2:0] used = tail - head;
    wire take = s_axis_tvalid && s_axis_tready;
    wire [21:0] first = queue[head[1:0]];
    wire breaks = waited == 4'd1;
    assign users = seen_users;
    assign s_axis_tready = used != 3'd4 && !mute;
    assign m_axis_tvalid = used != 3'd0 && !(breaks && fault == 3'd1);
    assign m_axis_tdata = first[15:0] + (breaks && fault == 3'd2 ? 16'd2 : 16'd1);
    assign m_axis_tdest = first[20:16] ^ {4'd0, breaks && fault == 3'd3};
    assign m_axis_tlast = first[21] ^ (breaks && fault == 3'd4);
    assign s_axi_awready = 1'b0;
    assign s_axi_wready = 1'b0;
    assign s_axi_bresp = 2'd0;
    assign s_axi_bvalid = 1'b0;
    assign s_axi_arready = !s_axi_rvalid;
    assign s_axi_rresp = 2'd0;
    wire unused = &{s_axi_awaddr, s_axi_awvalid, s_axi_wdata, s_axi_wstrb, s_axi_wvalid, s_axi_bready, s_axi_araddr};
    always @(posedge clock) begin
        if (take) begin
            queue[tail[1:0]] <= {s_axis_tlast, s_axis_tdest, s_axis_tdata};
            tail <= tail + 3'd1;
            count <= count + 32'd1;
            if (s_axis_tuser) seen_users <= seen_users + 32'd1;
        end
        waited <= m_axis_tvalid && !m_axis_tready ? waited + {3'd0, waited != 4'd15} : 4'd0;
        if (m_axis_tvalid && m_axis_tready) head <= head + 3'd1;
        if (s_axi_rvalid && s_axi_rready) s_axi_rvalid <= 1'b0;
        if (s_axi_arvalid && s_axi_arready) begin
            s_axi_rvalid <= 1'b1;
            s_axi_rdata <= count;
        end
        if (reset) begin
            head <= 3'd0;
            tail <= 3'd0;
            count <= 32'd0;
            waited <= 4'd0;
            seen_users <= {31'd0, unused & 1'b0};
            s_axi_rvalid <= 1'b0;
        end
    end
endmodule
"#;

fn loopback() -> Build {
    let ports = [
        ("clock", 1, true),
        ("reset", 1, true),
        ("fault", 3, true),
        ("mute", 1, true),
        ("users", 32, false),
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
        ("s_axis_tdata", 16, true),
        ("s_axis_tdest", 5, true),
        ("s_axis_tuser", 1, true),
        ("s_axis_tlast", 1, true),
        ("s_axis_tvalid", 1, true),
        ("s_axis_tready", 1, false),
        ("m_axis_tdata", 16, false),
        ("m_axis_tdest", 5, false),
        ("m_axis_tlast", 1, false),
        ("m_axis_tvalid", 1, false),
        ("m_axis_tready", 1, true),
    ];
    let ports = ports.iter().map(|&(name, width, input)| Port { name: name.into(), width, input }).collect();
    Build {
        axi_lite: Some("s_axi_".into()),
        streams: Some(Streams::default()),
        optimize: Optimize::Draft,
        ..Build::plain("loopback", vec![Source { name: "loopback".into(), text: LOOPBACK.into() }], ports)
    }
}

fn library() -> Library {
    loopback().library(&default_cache()).unwrap()
}

fn start(seed: u64) -> Dut {
    let mut dut = Dut::new(&library(), seed).unwrap();
    dut.reset(2).unwrap();
    dut
}

/// Vectors of eight beats; every third one begins with TUSER.
fn beats(count: u64) -> Vec<StreamBeat> {
    let beat = |i: u64| StreamBeat { data: (i * 2654) & 0xffff, dest: (i / 8 % 32) as u32, user: i.is_multiple_of(24), last: i % 8 == 7 };
    (0..count).map(beat).collect()
}

#[test]
fn beats_come_out_in_order_under_any_stalls() {
    let sent = beats(400);
    for (seed, input, output) in [(1, 0, 0), (2, 50, 0), (3, 0, 50), (4, 70, 30), (5, 30, 90)] {
        let mut dut = start(seed);
        dut.stream_stalls(seed, input, output).unwrap();
        dut.stream_send(&sent).unwrap();
        dut.stream_run(sent.len() as u64, 0, 100_000).unwrap();
        let (accepted, taken) = dut.stream_fetch().unwrap();
        assert_eq!((accepted.len(), taken.len()), (sent.len(), sent.len()), "stalls {input} {output}");
        assert!(accepted.windows(2).chain([[2, accepted[0]].as_slice()]).all(|w| w[0] <= w[1]) && accepted[0] >= 2);
        for (i, (s, t)) in sent.iter().zip(&taken).enumerate() {
            assert_eq!((t.data, t.dest, t.last), ((s.data + 1) & 0xffff, s.dest, s.last), "beat {i}, stalls {input} {output}");
            assert!(t.cycle > accepted[i], "beat {i}");
        }
        assert_eq!(dut.get("users").unwrap(), sent.iter().filter(|b| b.user).count() as u64);
        let cycles = taken[399].cycle - accepted[0];
        // nothing waits without stalls; with them something must
        assert!(if input + output == 0 { cycles == 400 } else { cycles > 450 }, "{cycles} cycles, stalls {input} {output}");
    }
}

#[test]
fn streams_go_on_while_a_register_is_polled_and_between_runs() {
    let mut dut = start(6);
    dut.stream_stalls(6, 20, 20).unwrap();
    dut.axi_stalls(6, 30).unwrap();
    dut.stream_send(&beats(100)).unwrap();
    assert!(dut.axi_poll(0, u32::MAX, 100, 10_000).unwrap() > 100);
    dut.step(20).unwrap();
    assert_eq!(dut.stream_counts().unwrap(), (0, 100, 100));
    dut.stream_send(&beats(8)).unwrap();
    dut.stream_run(108, 0, 1000).unwrap();
    assert_eq!(dut.stream_fetch().unwrap().1.len(), 108);
    assert_eq!(dut.axi_read(0).unwrap().0, 108);
}

#[test]
fn held_streams_stand_still_until_they_are_let_go() {
    let mut dut = start(7);
    dut.stream_hold(false, true).unwrap();
    dut.stream_send(&beats(10)).unwrap();
    dut.step(50).unwrap();
    // the queue of the loopback is full
    assert_eq!(dut.stream_counts().unwrap(), (6, 4, 0));
    dut.stream_hold(true, false).unwrap();
    dut.step(50).unwrap();
    // the beat that was offered had to stay
    assert_eq!(dut.stream_counts().unwrap(), (5, 5, 5));
    dut.stream_hold(false, false).unwrap();
    dut.stream_run(10, 0, 100).unwrap();
}

#[test]
fn a_design_that_does_not_answer_is_a_timeout_with_the_beats_that_are_missing() {
    let mut dut = start(8);
    dut.set("mute", 1).unwrap();
    dut.stream_send(&beats(3)).unwrap();
    match dut.stream_run(3, 0, 200) {
        Err(Error::Timeout { what, limit: 200, .. }) => {
            assert_eq!(what, "3 output beats (found 0) and 0 waiting input beats (found 3)")
        }
        other => panic!("{other:?}"),
    }
    dut.set("mute", 0).unwrap();
    dut.stream_run(3, 0, 200).unwrap();
}

#[test]
fn a_broken_rule_of_the_output_is_named() {
    for (fault, rule) in [(1, "tvalid fell"), (2, "tdata changed"), (3, "tdest changed"), (4, "tlast changed")] {
        let mut dut = start(9);
        dut.stream_hold(false, true).unwrap();
        dut.set("fault", fault).unwrap();
        dut.stream_send(&beats(1)).unwrap();
        match dut.step(10) {
            Err(Error::Stream { top, cycle, rule: found }) => {
                assert!(top == "loopback" && cycle > 2 && found.contains(rule), "{found}");
            }
            other => panic!("fault {fault}: {other:?}"),
        }
        // the model is intact
        dut.set("fault", 0).unwrap();
        dut.reset(2).unwrap();
        dut.stream_clear().unwrap();
        dut.stream_hold(false, false).unwrap();
        dut.stream_send(&beats(5)).unwrap();
        dut.stream_run(5, 0, 100).unwrap();
    }
}

#[test]
fn a_reset_forgets_what_was_shown_and_breaks_no_rule() {
    let mut dut = start(10);
    dut.stream_stalls(10, 0, 80).unwrap();
    for at in 0..20 {
        dut.stream_send(&beats(30)).unwrap();
        dut.step(at).unwrap();
        dut.reset(1).unwrap();
        dut.stream_clear().unwrap();
        dut.step(3).unwrap();
        assert_eq!(dut.stream_counts().unwrap(), (0, 0, 0), "reset after {at} cycles");
    }
}

#[test]
fn a_model_without_streams_says_so_and_one_without_their_ports_is_not_built() {
    let plain = Build { streams: None, ..loopback() }.library(&default_cache()).unwrap();
    let mut dut = Dut::new(&plain, 1).unwrap();
    assert!(matches!(dut.stream_send(&[]), Err(Error::Design { problem, .. }) if problem.contains("streams")));
    let other = Streams { input: "up_".into(), output: "m_axis_".into() };
    match (Build { streams: Some(other), ..loopback() }).library(&default_cache()) {
        Err(Error::Port { port, .. }) => assert_eq!(port, "up_tdata"),
        other => panic!("{other:?}"),
    }
    let mut dut = start(1);
    assert!(dut.stream_stalls(1, 96, 0).is_err());
}
