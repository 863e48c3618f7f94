//! A TLS server of somebody else's on the engine's host, which asks every client for a password.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use kindreg::internal::pki::Identity;
use rustls::{ServerConnection, StreamOwned};

use super::token::tls;

const ANSWER: &str = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\
                      Docker-Distribution-Api-Version: registry/2.0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

pub(crate) struct Stranger {
    end: Arc<AtomicBool>,
    heard: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<()>,
}

impl Stranger {
    #[track_caller]
    pub(crate) fn start(port: u16, identity: &Identity) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let end = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let tls = Arc::new(tls(identity));
        let thread = spawn({
            let (end, heard) = (Arc::clone(&end), Arc::clone(&heard));
            move || {
                while !end.load(Ordering::SeqCst) {
                    match listener.accept() {
                        Ok((stream, _)) => {
                            let connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
                            if let Ok(head) = serve(connection, stream) {
                                heard.lock().unwrap().push(head);
                            }
                        }
                        Err(_) => sleep(Duration::from_millis(10)),
                    }
                }
            }
        });
        Self { end, heard, thread }
    }

    /// Ends it, and returns the heads of all requests that it got.
    #[track_caller]
    pub(crate) fn end(self) -> Vec<String> {
        self.end.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

/// Answers one request, and returns its head.
fn serve(connection: ServerConnection, stream: TcpStream) -> std::io::Result<String> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = StreamOwned::new(connection, stream);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < 65_536 {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    // A client that is gone by now was heard all the same.
    let _ = stream.write_all(ANSWER.as_bytes());
    stream.conn.send_close_notify();
    let _ = stream.flush();
    Ok(String::from_utf8_lossy(&head).into_owned())
}
