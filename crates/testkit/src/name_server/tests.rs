use super::*;

const ZONE: &str = "\
    ; the world
    example.test MX 10 mx.example.test
    example.test MX 20 alias.example.test
    mx.example.test A 127.0.0.2
    mx.example.test AAAA ::1
    alias.example.test CNAME mx.example.test
    loop.test CNAME loop.test
    broken.test SERVFAIL
    2.0.0.127.in-addr.arpa PTR mx.example.test
";

fn ask(server: &NameServer, name: &str, kind: RecordType) -> Message {
    let mut question = Message::query();
    question.add_query(Query::query(absolute(name).unwrap(), kind));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&question.to_vec().unwrap(), server.address()).unwrap();
    let mut buffer = [0; 4096];
    let count = socket.recv(&mut buffer).unwrap();
    let udp = Message::from_vec(&buffer[..count]).unwrap();
    assert_eq!(udp.metadata.id, question.metadata.id);
    if !udp.metadata.truncation {
        return udp;
    }
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let bytes = question.to_vec().unwrap();
    stream.write_all(&[&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes.as_slice()].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    Message::from_vec(&reply).unwrap()
}

#[test]
fn each_kind_of_question_gets_its_answer() {
    let server = NameServer::start(ZONE);
    let rows = [
        ("EXAMPLE.test", RecordType::MX, 2, ResponseCode::NoError),
        ("mx.example.test", RecordType::A, 1, ResponseCode::NoError),
        ("mx.example.test", RecordType::TXT, 0, ResponseCode::NoError),
        ("alias.example.test", RecordType::A, 2, ResponseCode::NoError),
        ("2.0.0.127.in-addr.arpa", RecordType::PTR, 1, ResponseCode::NoError),
        ("nowhere.test", RecordType::A, 0, ResponseCode::NXDomain),
        ("broken.test", RecordType::MX, 0, ResponseCode::ServFail),
        ("loop.test", RecordType::A, 8, ResponseCode::NoError),
    ];
    for (name, kind, count, code) in rows {
        let reply = ask(&server, name, kind);
        assert_eq!((reply.answers.len(), reply.metadata.response_code), (count, code), "{name} {kind}");
    }
    assert_eq!(server.questions(), rows.len());
}

#[test]
fn an_answer_too_large_for_a_datagram_comes_over_tcp() {
    let zone: String = (0..100).map(|number| format!("many.test MX {number} mx{number}.many.test\n")).collect();
    let server = NameServer::start(&zone);
    assert_eq!(ask(&server, "many.test", RecordType::MX).answers.len(), 100);
}

#[test]
fn the_zone_can_change() {
    let server = NameServer::start("a.test A 127.0.0.1");
    server.set("a.test A 127.0.0.2\na.test A 127.0.0.3");
    assert_eq!(ask(&server, "a.test", RecordType::A).answers.len(), 2);
}
