use super::*;

#[test]
fn a_free_port_can_be_bound_on_every_address() {
    let addresses = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3))];
    let port = free_on_all(&addresses);
    for address in addresses {
        TcpListener::bind(SocketAddr::new(address, port)).unwrap();
    }
}
