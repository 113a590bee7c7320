//! A plain HTTP proxy on loopback before one of the servers. It writes down what is asked and, where a test says so,
//! lets the server fail in ways that a real one cannot be asked to.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use regex::Regex;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Verb and object, such as `PATCH deployments/storefront` or `QUERY up`. A dry run writes nothing: its
    /// verb is `DRYRUN`.
    pub line: String,
    /// The raw query of its address.
    pub parameters: String,
    pub body: String,
}

impl Seen {
    pub fn writes(&self) -> bool {
        ["PATCH", "DELETE", "POST configmaps", "POST deployments", "POST events"]
            .iter()
            .any(|write| self.line.starts_with(write))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What both servers were asked, in the order of arrival.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Seen>>>);

impl Journal {
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// How many requests with this in their line have arrived.
    pub fn count(&self, of: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|seen| seen.line.contains(of)).count()
    }

    fn add(&self, seen: Seen) {
        self.0.lock().unwrap().push(seen);
    }
}

/// The requests as a snapshot shows them: writes one by one, and between two of them the reads, each once and sorted,
/// because how often and in which order concurrent reads arrive is chance.
pub fn summary(requests: &[Seen]) -> Vec<String> {
    let mut lines = Vec::new();
    for stretch in requests.split_inclusive(Seen::writes) {
        let reads: BTreeSet<&str> =
            stretch.iter().filter(|seen| !seen.writes()).map(|seen| seen.line.as_str()).collect();
        lines.extend(reads.into_iter().map(str::to_owned));
        lines.extend(stretch.iter().filter(|seen| seen.writes()).map(|seen| seen.line.clone()));
    }
    lines
}

/// What happens to a request instead of being passed on and answered.
#[derive(Clone)]
pub enum Act {
    /// The proxy answers for the server.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The connection is closed before any answer.
    Close,
    /// No answer ever comes: the server ends its side of the connection, and still listens to the other.
    HalfClose,
    /// All connections break and nobody listens for so long; the request itself has arrived or not.
    Outage { arrives: bool, lasts: Duration },
    /// The request is passed on; the connection is closed before its answer comes.
    LoseAnswer,
    /// The request is passed on; its answer breaks off in the middle of the body.
    BreakOff,
    /// The request waits before it is passed on.
    Delay(Duration),
    /// Something else happens before the request is passed on.
    Before(Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>),
    /// The request is passed on; something else happens before its answer comes.
    After(Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>),
    /// The request is passed on; its answer comes one byte after the other, so long apart.
    Drip(Duration),
    /// A header of the server's answer is replaced.
    Header(HeaderName, &'static str),
    /// The JSON of the request is changed before it is passed on.
    Rewrite(Arc<dyn Fn(&mut Value) + Send + Sync>),
    /// The JSON of the server's answer is changed.
    Alter(Arc<dyn Fn(&mut Value) + Send + Sync>),
}

impl Act {
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: String::new() }
    }

    pub fn body(status: u16, content_type: &str, body: &str) -> Self {
        Self::Answer { status, headers: vec![("content-type", content_type.to_owned())], body: body.to_owned() }
    }

    pub fn before<F: Future<Output = ()> + Send + 'static>(act: impl Fn() -> F + Send + Sync + 'static) -> Self {
        Self::Before(Arc::new(move || Box::pin(act())))
    }

    pub fn after<F: Future<Output = ()> + Send + 'static>(act: impl Fn() -> F + Send + Sync + 'static) -> Self {
        Self::After(Arc::new(move || Box::pin(act())))
    }

    pub fn header(name: HeaderName, value: &'static str) -> Self {
        Self::Header(name, value)
    }

    pub fn rewrite(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Rewrite(Arc::new(change))
    }

    pub fn alter(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::Alter(Arc::new(change))
    }
}

struct Rule {
    /// A piece of the request's line.
    of: String,
    act: Act,
    /// How often it still applies; None without end.
    left: Option<usize>,
}

enum Server {
    Api(kube::Client),
    Prometheus { client: reqwest::Client, url: String },
}

struct State {
    server: Server,
    journal: Journal,
    rules: Mutex<Vec<Rule>>,
    outages: UnboundedSender<Duration>,
}

pub struct Proxy {
    pub url: String,
    pub journal: Journal,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Passes requests on as the user of this client.
    pub async fn before_api_server(client: kube::Client, journal: &Journal) -> Self {
        Self::start(Server::Api(client), journal).await
    }

    pub async fn before_prometheus(url: &str, journal: &Journal) -> Self {
        let server = Server::Prometheus { client: reqwest::Client::new(), url: url.trim_end_matches('/').to_owned() };
        Self::start(server, journal).await
    }

    async fn start(server: Server, journal: &Journal) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, outages) = unbounded_channel();
        let state = Arc::new(State { server, journal: journal.clone(), rules: Mutex::default(), outages: sender });
        let task = tokio::spawn(serve(listener, state.clone(), outages));
        Self { url, journal: journal.clone(), state, task }
    }

    /// From now on this happens to every request whose line contains `of`.
    pub fn on(&self, of: &str, act: Act) {
        self.rule(of, act, None);
    }

    /// The same, for the next few requests only.
    pub fn on_next(&self, times: usize, of: &str, act: Act) {
        self.rule(of, act, Some(times));
    }

    /// The server works again.
    pub fn repair(&self) {
        self.state.rules.lock().unwrap().clear();
    }

    fn rule(&self, of: &str, act: Act, left: Option<usize>) {
        self.state.rules.lock().unwrap().push(Rule { of: of.to_owned(), act, left });
    }
}

async fn serve(mut listener: TcpListener, state: Arc<State>, mut outages: UnboundedReceiver<Duration>) {
    let address = listener.local_addr().unwrap();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn(serve_connection(stream, state.clone()));
            }
            Some(lasts) = outages.recv() => {
                connections.shutdown().await;
                drop(listener);
                tokio::time::sleep(lasts).await;
                listener = TcpListener::bind(address).await.unwrap();
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, state: Arc<State>) {
    let stream = stream.into_std().unwrap();
    let ours = Arc::new(stream.try_clone().unwrap());
    let stream = TcpStream::from_std(stream).unwrap();
    let service = service_fn(move |request| handle(state.clone(), ours.clone(), request));
    // An error here is a connection that was closed on purpose, or by a command that ended.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Body = UnsyncBoxBody<Bytes, Closed>;

/// Makes hyper close the connection.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Closed {}

async fn handle(
    state: Arc<State>,
    connection: Arc<std::net::TcpStream>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Closed> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
    let request = Request::from_parts(parts, body);
    let line = state.server.line(&request);
    state.journal.add(Seen {
        line: line.clone(),
        parameters: request.uri().query().unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(request.body()).into_owned(),
    });
    match state.act(&line) {
        None => state.server.ask(request).await.map(whole),
        Some(Act::Answer { status, headers, body }) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(whole(response.body(Bytes::from(body)).unwrap()))
        }
        Some(Act::Close) => Err(Closed),
        Some(Act::HalfClose) => {
            connection.shutdown(std::net::Shutdown::Write).unwrap();
            std::future::pending().await
        }
        Some(Act::Outage { arrives, lasts }) => {
            if arrives {
                let _ = state.server.ask(request).await;
            }
            state.outages.send(lasts).unwrap();
            std::future::pending().await
        }
        Some(Act::LoseAnswer) => state.server.ask(request).await.and(Err(Closed)),
        Some(Act::BreakOff) => state.server.ask(request).await.map(broken_off),
        Some(Act::Delay(time)) => {
            tokio::time::sleep(time).await;
            state.server.ask(request).await.map(whole)
        }
        Some(Act::Before(before)) => {
            before().await;
            state.server.ask(request).await.map(whole)
        }
        Some(Act::After(after)) => {
            let answer = state.server.ask(request).await;
            after().await;
            answer.map(whole)
        }
        Some(Act::Drip(pause)) => state.server.ask(request).await.map(|answer| dripping(answer, pause)),
        Some(Act::Header(name, value)) => state.server.ask(request).await.map(|mut answer| {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
            whole(answer)
        }),
        Some(Act::Rewrite(change)) => state.server.ask(request.map(|body| changed(&body, &*change))).await.map(whole),
        Some(Act::Alter(change)) => {
            state.server.ask(request).await.map(|answer| whole(answer.map(|body| changed(&body, &*change))))
        }
    }
}

fn changed(body: &[u8], change: &dyn Fn(&mut Value)) -> Bytes {
    let mut json = serde_json::from_slice(body).unwrap();
    change(&mut json);
    Bytes::from(json.to_string())
}

impl State {
    /// The newest rule that applies.
    fn act(&self, line: &str) -> Option<Act> {
        let mut rules = self.rules.lock().unwrap();
        let rule = rules.iter_mut().rev().find(|rule| rule.left != Some(0) && line.contains(&rule.of))?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.act.clone())
    }
}

impl Server {
    async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Closed> {
        let (mut parts, body) = request.into_parts();
        let headers = [header::CONTENT_TYPE, header::ACCEPT];
        parts.headers =
            headers.iter().filter_map(|name| Some((name.clone(), parts.headers.get(name)?.clone()))).collect();
        match self {
            Self::Api(client) => {
                let request = Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
                let response = client.send(request).await.map_err(|_| Closed)?;
                let (parts, body) = response.into_parts();
                let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
                Ok(answer(parts.status, &parts.headers, body))
            }
            Self::Prometheus { client, url } => {
                let request = client.request(parts.method, format!("{url}{}", parts.uri));
                let response = request.headers(parts.headers).body(body).send().await.map_err(|_| Closed)?;
                let (status, headers) = (response.status(), response.headers().clone());
                Ok(answer(status, &headers, response.bytes().await.map_err(|_| Closed)?))
            }
        }
    }

    /// The request in a few words.
    fn line(&self, request: &Request<Bytes>) -> String {
        match self {
            Self::Api(_) => api_line(request),
            Self::Prometheus { .. } => prometheus_line(request),
        }
    }
}

/// The server's answer without what describes its connection.
fn answer(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for name in [header::CONTENT_TYPE, header::DATE, header::RETRY_AFTER, header::LOCATION] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(|body| Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync())
}

fn broken_off(response: Response<Bytes>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let half = body.slice(..body.len() / 2);
    let frames = futures_util::stream::unfold(Some(half), |half| async {
        match half {
            Some(half) if !half.is_empty() => Some((Ok(Frame::data(half)), Some(Bytes::new()))),
            _ => {
                // hyper writes out what it has before it looks for more.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(Closed), None))
            }
        }
    });
    Response::from_parts(parts, StreamBody::new(frames).boxed_unsync())
}

fn dripping(response: Response<Bytes>, pause: Duration) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let frames = futures_util::stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let drop = rest.split_to(1);
        Some((Ok(Frame::data(drop)), rest))
    });
    Response::from_parts(parts, StreamBody::new(frames).boxed_unsync())
}

const DRY_RUN: &[u8] = br#""dryRun":["All"]"#;

fn api_line(request: &Request<Bytes>) -> String {
    let parameters = request.uri().query().unwrap_or_default();
    let path = request.uri().path();
    let object = match path.split_once("/namespaces/") {
        Some((_, rest)) => rest.split_once('/').map_or(rest, |(_, object)| object),
        None => path.rsplit('/').next().unwrap_or_default(),
    };
    let verb = match *request.method() {
        Method::GET if parameters.contains("watch=") => "WATCH",
        Method::GET if !object.contains('/') => "LIST",
        _ if parameters.contains("dryRun=All") => "DRYRUN",
        // Of a deletion it stands in the body.
        Method::DELETE if request.body().windows(DRY_RUN.len()).any(|piece| piece == DRY_RUN) => "DRYRUN",
        _ => request.method().as_str(),
    };
    format!("{verb} {object}")
}

fn prometheus_line(request: &Request<Bytes>) -> String {
    let form = String::from_utf8_lossy(request.body());
    let parameters = if form.is_empty() { request.uri().query().unwrap_or_default() } else { &form };
    let form = reqwest::Url::parse(&format!("http://form/?{parameters}")).unwrap();
    let promql = form.query_pairs().find(|(name, _)| name == "query").map(|(_, value)| value.into_owned());
    let verb = if request.uri().path().ends_with("query_range") { "QUERY RANGE" } else { "QUERY" };
    format!("{verb} {}", promql.map_or_else(|| request.uri().path().to_owned(), |promql| in_short(&promql)))
}

/// Names the metrics that one query carries; the queries themselves are pinned beside the code.
fn in_short(promql: &str) -> String {
    static METRIC: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""cbctl", "([^"]*)""#).unwrap());
    let metrics: Vec<&str> = METRIC.captures_iter(promql).map(|found| found.get(1).unwrap().as_str()).collect();
    if metrics.is_empty() { promql.to_owned() } else { metrics.join(", ") }
}
