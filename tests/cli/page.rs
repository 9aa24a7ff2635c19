//! `report.html` in headless Chromium (`scripts/setup --page`): light and dark, narrow and wide. A script that the test puts into
//! a copy of the page measures it there.

use super::project::{left_out, Project};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What the script says of the page, in a window of `width`: an inner frame, since no window is as narrow as a telephone.
const PROBE: &str = r#"<script nonce=probe>
addEventListener('load', () => {
  for (const d of document.querySelectorAll('details')) d.open = true;
  const rgb = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
    return [255, 255, 255]; };
  let contrast = 99, least = '';
  const colors = new Set();
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), drawn = e instanceof SVGElement;
    const front = rgb(drawn ? style.fill : style.color);
    colors.add(front.slice(0, 3).join());
    const [a, b] = [light(front), light(behind(e))].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    if (ratio < contrast) { contrast = ratio; least = e.textContent.trim().slice(0, 40); }
  }
  const root = document.documentElement, verdict = document.getElementById('verdict').getBoundingClientRect();
  const found = { width: innerWidth, needed: root.scrollWidth, contrast, least, colors: [...colors].sort(),
    back: getComputedStyle(document.body).backgroundColor, verdict: [verdict.top, verdict.bottom],
    first: document.querySelector('main').innerText.trim().split('\n').slice(0, 2),
    requests: performance.getEntriesByType('resource').map((r) => r.name),
    headings: [...document.querySelectorAll('h1,h2,h3')].map((h) => +h.tagName[1]),
    plots: [...document.querySelectorAll('[role=img]')].map((p) => [p.getAttribute('aria-label'), p.querySelectorAll('circle').length]),
    unlabelled: document.querySelectorAll('table:not(:has(thead th[scope=col])), tbody tr:not(:has(th[scope=row]))').length,
    scripts: document.scripts.length, bold: document.querySelectorAll('b').length };
  parent.document.body.setAttribute('data-found', JSON.stringify(found));
});
</script>"#;

/// Whether Chromium is here. Without, the line says how it comes.
fn chromium() -> bool {
    let here = Command::new("chromium").arg("--version").output().is_ok_and(|o| o.status.success());
    if !here {
        left_out("report.html was not looked at: there is no chromium; scripts/setup --page brings it");
    }
    here
}

/// The page in a window of this width; scheme 0 is dark, 1 light.
fn look(p: &Project, page: &str, width: usize, scheme: usize) -> Value {
    let html = String::from_utf8(p.read(page)).unwrap();
    let policy = "default-src 'none'; style-src 'nonce-page'";
    assert!(html.contains(policy), "the page allows no requests");
    let html = html.replace(policy, "script-src 'nonce-probe'; default-src 'none'; style-src 'nonce-page'");
    p.write("probed.html", html.replace("</body>", &format!("{PROBE}</body>")));
    p.write(
        "frame.html",
        format!("<body style='margin:0'><iframe src=probed.html style='border:0;width:{width}px;height:800px'></iframe>"),
    );
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
    ]);
    command.arg(format!("--blink-settings=preferredColorScheme={scheme}")).arg(format!("--user-data-dir={}", p.path("profile").display()));
    command
        .args(["--window-size=1500,900", "--virtual-time-budget=4000", "--dump-dom"])
        .arg(format!("file://{}", p.path("frame.html").display()));
    let ran = super::project::ran(&mut command);
    assert!(!ran.stderr.contains("CONSOLE"), "{}", ran.stderr);
    let found = ran.stdout.split("data-found=\"").nth(1).and_then(|rest| rest.split('"').next());
    let found = found.unwrap_or_else(|| panic!("the script said nothing: {} {}", ran.stdout, ran.stderr));
    serde_json::from_str(&found.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")).unwrap()
}

/// Looks at the page in all four ways, and gives what was found at 360 pixels, light.
fn all_is_well(p: &Project, page: &str, word: &str) -> Value {
    let mut all = vec![];
    for (width, scheme) in [(360, 1), (360, 0), (1400, 1), (1400, 0)] {
        let found = look(p, page, width, scheme);
        assert_eq!(found["width"], width, "{found}");
        assert!(found["needed"].as_u64().unwrap() <= width as u64, "no line is wider than the window: {found}");
        assert!(found["contrast"].as_f64().unwrap() >= 4.5, "{found}");
        assert_eq!(found["first"], serde_json::json!(["Lacuna regression", word]), "the verdict comes first");
        assert!(found["verdict"][0].as_f64().unwrap() >= 0.0 && found["verdict"][1].as_f64().unwrap() < 400.0, "{found}");
        assert_eq!(
            (&found["requests"], &found["unlabelled"], &found["scripts"]),
            (&serde_json::json!([]), &0.into(), &1.into()),
            "{found}"
        );
        let headings: Vec<u64> = found["headings"].as_array().unwrap().iter().map(|h| h.as_u64().unwrap()).collect();
        assert!(headings[0] == 1 && headings.windows(2).all(|pair| pair[1] <= pair[0] + 1), "no level is left out: {headings:?}");
        all.push(found);
    }
    for pair in all.chunks(2) {
        assert_ne!(pair[0]["back"], pair[1]["back"], "dark is another color than light");
        assert!(pair[0]["colors"].as_array().unwrap().iter().all(|c| !pair[1]["colors"].as_array().unwrap().contains(c)), "{pair:?}");
    }
    all.remove(0)
}

/// A name that is markup where it is not escaped.
const MARKUP: &str = "<b>\"&'";

#[test]
fn the_page_says_the_verdict_first_and_is_readable_everywhere() {
    let p = Project::new();
    p.run(&["regress", "--named", "s", "--runs", "6", "-o", "out"]).did_it();
    let html = String::from_utf8(p.read("out/report.html")).unwrap();
    for text in ["All of 6 runs are equal", "zero length columns", "Not reached, ", "EIE", "ESE", "Utilization"] {
        assert!(html.contains(text), "{text}");
    }
    for text in ["http:", "https:", "<script", "url(", "@import", " src="] {
        assert!(!html.replace("http://www.w3.org/2000/svg", "").contains(text), "nothing comes from elsewhere: {text}");
    }
    // a failure as the journal has it, with a text that is none of the page's
    let folder = p.path("failed");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(p.path("out/plan.json"), folder.join("plan.json")).unwrap();
    let journal = String::from_utf8(p.read("out/results.jsonl")).unwrap();
    let mut lines: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines[0]["finding"] =
        serde_json::json!({ "kind": "results", "text": format!("layer 0 ({MARKUP}), PE 1, row 2, cycle 3: expected 4, got 5") });
    let name = lines[0]["configuration"].clone();
    let done = lines.iter_mut().find(|l| l["line"] == "done" && l["configuration"] == name).unwrap();
    done["failure"] = format!("failures/{}", name.as_str().unwrap()).into();
    p.write("failed/results.jsonl", lines.iter().map(|l| l.to_string() + "\n").collect::<String>());
    let ran = p.run(&["regress", "--named", "s", "--runs", "6", "-o", "failed"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let failed = String::from_utf8(p.read("failed/report.html")).unwrap();
    for text in ["1 of 6 runs failed.", "layer 0 (&lt;b&gt;&quot;&amp;'), PE 1, row 2, cycle 3: expected 4, got 5", "/run.sh"] {
        assert!(failed.contains(text), "{text}");
    }
    assert!(failed.find("1 of 6 runs failed.") < failed.find("layer 0 ("), "the verdict is in front");
    if !chromium() {
        return;
    }
    let found = all_is_well(&p, "out/report.html", "Passed");
    let plots = found["plots"].as_array().unwrap();
    assert!(plots.len() == 2 && plots.iter().all(|plot| plot[1].as_u64().unwrap() > 0), "{found}");
    let found = all_is_well(&p, "failed/report.html", "Failed");
    assert_eq!(found["bold"], 0, "a text is no markup");
}

#[test]
fn a_page_that_is_not_as_it_must_be_is_seen() {
    let p = Project::new();
    if !chromium() {
        return;
    }
    let policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'nonce-page'\">";
    let page = |body: &str| {
        format!("<!DOCTYPE html><html><head>{policy}</head><body><main><h1>a</h1><div id=verdict>b</div>{body}</main></body></html>")
    };
    p.write("good.html", page(""));
    let good = look(&p, "good.html", 360, 1);
    assert!(good["contrast"].as_f64().unwrap() > 20.0 && good["needed"] == 360, "{good}");
    p.write("wide.html", page("<pre>01234567890123456789012345678901234567890123456789012345678901234567890123456789</pre>"));
    assert!(look(&p, "wide.html", 360, 1)["needed"].as_u64().unwrap() > 360);
    p.write("faint.html", page("<style nonce=page>p { color: #999 }</style><p>c</p>"));
    assert!(look(&p, "faint.html", 360, 1)["contrast"].as_f64().unwrap() < 4.5);
    p.write("asks.html", page("<img src=other.png>"));
    let asked = std::panic::catch_unwind(|| look(&p, "asks.html", 360, 1));
    assert!(asked.is_err() || asked.unwrap()["requests"] != serde_json::json!([]), "a request is said");
    assert!(Path::new(&p.path("asks.html")).exists());
}
