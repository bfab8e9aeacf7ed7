//! Ports for brokers that have to be told one.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Ports that nobody listens on, and that this process gives to nobody else: between now and the moment in which a broker
/// takes one, another test may ask.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    // All are held until the last is found, so that each look finds another one.
    let mut held = Vec::new();
    std::array::from_fn(|_| {
        loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
            let port = listener.local_addr().expect("it has an address").port();
            held.push(listener);
            if given.insert(port) {
                return port;
            }
        }
    })
}
