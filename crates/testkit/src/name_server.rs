//! A name server on loopback, over UDP and TCP, from a zone written in the test.
//!
//! Authoritative for whatever the zone names; anything else does not exist. It knows A, AAAA, MX, TXT, PTR and
//! CNAME (which it follows), counts the questions, and can be told to fail names.

use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TTL: u32 = 60;

/// A running name server; it stops when dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    zone: Mutex<BTreeMap<Name, Vec<RData>>>,
    questions: AtomicUsize,
    signed: AtomicBool,
    stop: AtomicBool,
}

impl NameServer {
    /// Serves these records, one to a line: `example.test MX 10 mx.example.test`. `SERVFAIL` as a type makes the
    /// name fail. Empty lines and lines that begin with `;` say nothing.
    ///
    /// # Panics
    /// When a line cannot be read, or no port is free.
    #[must_use]
    pub fn start(zone: &str) -> NameServer {
        let (udp, tcp) = bind();
        let address = udp.local_addr().expect("a bound address");
        let state = Arc::new(State::default());
        let server = NameServer { address, state: Arc::clone(&state) };
        server.set(zone);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || serve_udp(&udp, &shared));
        std::thread::spawn(move || serve_tcp(&tcp, &state));
        server
    }

    /// Where it answers, over both protocols.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many questions it was asked.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.state.questions.load(Ordering::SeqCst)
    }

    /// From now on it says that it has validated what it answers (the AD bit), to whoever asks for that.
    pub fn sign(&self) {
        self.state.signed.store(true, Ordering::SeqCst);
    }

    /// Replaces the zone.
    ///
    /// # Panics
    /// When a line cannot be read.
    pub fn set(&self, zone: &str) {
        let mut names: BTreeMap<Name, Vec<RData>> = BTreeMap::new();
        for line in zone.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(';')) {
            let (name, data) = record(line).unwrap_or_else(|| panic!("not a record: {line}"));
            names.entry(name).or_default().extend(data);
        }
        *self.state.zone.lock().unwrap() = names;
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection; the other one looks twice a second.
        drop(TcpStream::connect(self.address));
    }
}

fn bind() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("a bound address")) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both protocols");
}

/// No data: the name exists and every question about it fails.
fn record(line: &str) -> Option<(Name, Option<RData>)> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let name = absolute(name)?;
    let (kind, data) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
    let data = data.trim();
    let data = match kind {
        "A" => RData::A(A(data.parse().ok()?)),
        "AAAA" => RData::AAAA(AAAA(data.parse().ok()?)),
        "TXT" => RData::TXT(TXT::new(vec![data.to_owned()])),
        "PTR" => RData::PTR(PTR(absolute(data)?)),
        "CNAME" => RData::CNAME(CNAME(absolute(data)?)),
        "MX" => {
            let (preference, host) = data.split_once(' ')?;
            RData::MX(MX::new(preference.parse().ok()?, absolute(host.trim())?))
        }
        "SERVFAIL" => return Some((name, None)),
        _ => return None,
    };
    Some((name, Some(data)))
}

fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_str(name).ok()?.to_lowercase();
    name.set_fqdn(true);
    Some(name)
}

fn serve_udp(socket: &UdpSocket, state: &State) {
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let mut buffer = [0; 4096];
    while !state.stop.load(Ordering::SeqCst) {
        let Ok((count, from)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(reply) = answer(&buffer[..count], state, 512) {
            // Who asked may have gone.
            let _ = socket.send_to(&reply, from);
        }
    }
}

fn serve_tcp(listener: &TcpListener, state: &Arc<State>) {
    for stream in listener.incoming().flatten() {
        if state.stop.load(Ordering::SeqCst) {
            return;
        }
        let state = Arc::clone(state);
        std::thread::spawn(move || converse(stream, &state));
    }
}

/// RFC 1035 §4.2.2: each message behind its length. Ends when the other side does.
fn converse(mut stream: TcpStream, state: &State) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut question).ok()?;
        let reply = answer(&question, state, usize::from(u16::MAX))?;
        let length = u16::try_from(reply.len()).ok()?.to_be_bytes();
        stream.write_all(&[&length, reply.as_slice()].concat()).ok()?;
    }
}

fn answer(question: &[u8], state: &State, room: usize) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?.clone();
    state.questions.fetch_add(1, Ordering::SeqCst);
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.metadata.authoritative = true;
    // RFC 6840 §5.7: only for those who set the bit themselves.
    reply.metadata.authentic_data = question.metadata.authentic_data && state.signed.load(Ordering::SeqCst);
    reply.add_query(query.clone());
    look_up(&query, &state.zone.lock().unwrap(), &mut reply);
    let bytes = reply.to_vec().ok()?;
    let room = question.edns.as_ref().map_or(room, |edns| room.max(usize::from(edns.max_payload())));
    if bytes.len() <= room { Some(bytes) } else { reply.truncate().to_vec().ok() }
}

fn look_up(query: &Query, zone: &BTreeMap<Name, Vec<RData>>, reply: &mut Message) {
    let mut name = query.name().to_lowercase();
    // RFC 1034 §3.6.2: a chain of aliases; a loop of them ends here too.
    for _ in 0..8 {
        let Some(data) = zone.get(&name) else {
            reply.metadata.response_code = ResponseCode::NXDomain;
            break;
        };
        if data.is_empty() {
            reply.metadata.response_code = ResponseCode::ServFail;
            return;
        }
        let wanted = data.iter().filter(|data| data.record_type() == query.query_type());
        reply.answers.extend(wanted.map(|data| Record::from_rdata(name.clone(), TTL, data.clone())));
        let alias = data.iter().find_map(|data| if let RData::CNAME(CNAME(to)) = data { Some(to.clone()) } else { None });
        match alias {
            Some(to) if query.query_type() != RecordType::CNAME => {
                reply.answers.push(Record::from_rdata(name, TTL, RData::CNAME(CNAME(to.clone()))));
                name = to;
            }
            _ => break,
        }
    }
    if reply.answers.is_empty() {
        // RFC 2308 §2: without the SOA a negative answer is not believed for long, by some not at all.
        let soa = SOA::new(Name::root(), Name::root(), 1, 60, 60, 600, 1);
        reply.authorities.push(Record::from_rdata(Name::root(), 1, RData::SOA(soa)));
    }
}

#[cfg(test)]
mod tests;
