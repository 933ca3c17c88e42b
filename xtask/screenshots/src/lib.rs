//! [`Browser`]: a window of Chromium, driven through chromedriver, for tests of the dashboard and for pictures of it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a panic in a test is its report"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use url::{ParseError, Url};

/// Long enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// One window at a time: machines that test have few cores.
static TURN: Mutex<()> = Mutex::const_new(());

/// chromedriver. Dropped, it and its browser end.
struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver: `cargo xtask setup` installs chromium and chromium-driver");
        let output = BufReader::new(process.stdout.take().unwrap());
        let port = output.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let port = port.expect("chromedriver names its port");
        Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A window of its own session. It and its browser end with it.
pub struct Browser {
    /// What drives it.
    pub client: Client,
    _driver: Driver,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// 1280 pixels wide, with scripts.
    pub async fn open() -> Self {
        Self::open_with(1280, true).await
    }

    /// So many pixels wide, with scripts or without.
    pub async fn open_with(width: u32, runs_scripts: bool) -> Self {
        Self::start(width, runs_scripts, false).await
    }

    /// So many pixels wide, for someone who likes it dark.
    pub async fn open_dark(width: u32) -> Self {
        Self::start(width, true, true).await
    }

    async fn start(width: u32, runs_scripts: bool, is_dark: bool) -> Self {
        let turn = TURN.lock().await;
        let driver = Driver::start();
        let mut options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"],
            // A window of its own has a least width.
            "mobileEmulation": {"deviceMetrics":
                {"width": width, "height": 900, "pixelRatio": 1.0, "mobile": false, "touch": false}},
        });
        if is_dark && let Some(args) = options["args"].as_array_mut() {
            args.push("--blink-settings=preferredColorScheme=0".into());
        }
        if !runs_scripts {
            options["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
        }
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.url)
            .await
            .expect("chromium: `cargo xtask setup` installs it");
        Self {
            client,
            _driver: driver,
            _turn: turn,
        }
    }

    /// Opens an address.
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// What can be read; nothing between two pages.
    pub async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The text of the page, once it holds this.
    pub async fn wait_for(&self, wanted: &str) -> String {
        let begun_at = Instant::now();
        loop {
            let text = self.text().await;
            if text.contains(wanted) {
                return text;
            }
            assert!(begun_at.elapsed() < PATIENCE, "no “{wanted}” in:\n{text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Clicks the first that matches.
    pub async fn click(&self, css: &str) {
        let element = self.client.find(Locator::Css(css)).await;
        let element = element.unwrap_or_else(|error| panic!("{css}: {error}"));
        element.click().await.unwrap();
    }

    /// Clicks the link of that text.
    pub async fn click_link(&self, text: &str) {
        let link = self.client.find(Locator::LinkText(text)).await;
        let link = link.unwrap_or_else(|error| panic!("{text}: {error}"));
        link.click().await.unwrap();
    }

    /// Types into the first that matches, in place of what is there.
    pub async fn fill(&self, css: &str, text: &str) {
        let element = self.client.find(Locator::Css(css)).await.unwrap();
        element.clear().await.unwrap();
        element.send_keys(text).await.unwrap();
    }

    /// How many match.
    pub async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// What an expression of the test's own finds, which no policy of the page forbids.
    pub async fn ask(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        self.client.execute(&script, Vec::new()).await.unwrap()
    }

    /// Nothing is wider than the window.
    pub async fn check_fits(&self) {
        let page = "document.documentElement";
        let widths = format!("[{page}.scrollWidth, {page}.clientWidth]");
        let widths = self.ask(&widths).await;
        let url = self.client.current_url().await.unwrap();
        assert_eq!(widths[0], widths[1], "{url} is wider than the window");
    }

    /// axe-core finds nothing to complain about.
    pub async fn check_accessible(&self) {
        let axe = std::fs::read_to_string(axe()).unwrap_or_else(|error| {
            let path = axe().display().to_string();
            panic!("{path}: {error}: `cargo xtask test` brings axe-core from npm")
        });
        self.client.execute(&axe, Vec::new()).await.unwrap();
        let script = "const done = arguments[0]; \
            axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations.map(\
            (violation) => violation.id + ': ' + violation.nodes.map((node) => node.html).join(' | '))));";
        let found = self.client.execute_async(script, Vec::new()).await.unwrap();
        let url = self.client.current_url().await.unwrap();
        assert_eq!(found, json!([]), "axe-core on {url}");
    }

    /// A picture of the window, at most so many pixels high.
    pub async fn picture(&self, max_height: u64) -> Vec<u8> {
        let height = self.ask("document.documentElement.scrollHeight").await;
        let height = height.as_u64().unwrap_or(0).clamp(400, max_height);
        let width = self.ask("window.innerWidth").await;
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        self.client.screenshot().await.unwrap()
    }

    /// A command that only Chromium knows.
    async fn devtools(&self, command: &str, parameters: Value) {
        let command = Devtools(json!({"cmd": command, "params": parameters}));
        self.client.issue_cmd(command).await.unwrap();
    }

    /// Ends the session.
    pub async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Devtools(Value);

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

fn axe() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("target/axe/node_modules/axe-core/axe.min.js")
}
