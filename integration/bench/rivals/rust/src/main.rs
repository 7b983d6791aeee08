//! tokio-tungstenite, measured as ours is:   rivals produce|consume PORT PATH COUNT SIZE OUTSTANDING
use base64::{engine::general_purpose::STANDARD, Engine};
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use tokio_tungstenite::{connect_async, tungstenite::Message};

#[derive(Serialize)]
struct Publish<'a> {
    payload: &'a str,
    context: &'a str,
}
#[derive(Serialize)]
struct Ack<'a> {
    #[serde(rename = "messageId")]
    message_id: &'a str,
}
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    result: Option<&'a str>,
    payload: Option<&'a str>,
    #[serde(rename = "messageId")]
    message_id: Option<&'a str>,
}

fn used() -> f64 {
    let mut r: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut r) };
    (r.ru_utime.tv_sec + r.ru_stime.tv_sec) as f64 + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) as f64 / 1e6
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (count, size, outstanding): (u64, usize, u64) = (a[4].parse().unwrap(), a[5].parse().unwrap(), a[6].parse().unwrap());
    let produces = a[1] == "produce";
    let payload = vec![b'x'; size];
    let (socket, _) = connect_async(format!("ws://127.0.0.1:{}{}", a[2], a[3])).await.expect("no connection");
    let (mut sink, mut stream) = socket.split();
    let (began, before) = (Instant::now(), used());
    let (mut sent, mut got) = (0u64, 0u64);
    while got < count {
        let mut fed = false;
        while produces && sent < count && sent - got < outstanding {
            let text = serde_json::to_string(&Publish { payload: &STANDARD.encode(&payload), context: &sent.to_string() }).unwrap();
            sink.feed(Message::Text(text.into())).await.unwrap();
            sent += 1;
            fed = true;
        }
        if fed {
            sink.flush().await.unwrap();
        }
        let Some(Ok(message)) = stream.next().await else { panic!("the connection broke") };
        let Message::Text(text) = message else { continue };
        let text: &str = text.as_ref();
        let frame: Frame = serde_json::from_str(text).unwrap();
        got += 1;
        if produces {
            assert_eq!(frame.result, Some("ok"), "a message was refused");
            continue;
        }
        STANDARD.decode(frame.payload.unwrap()).unwrap();
        let ack = serde_json::to_string(&Ack { message_id: frame.message_id.unwrap() }).unwrap();
        sink.feed(Message::Text(ack.into())).await.unwrap();
        if got % 64 == 0 || got == count {
            sink.flush().await.unwrap();
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{{\"messages\":{},\"seconds\":{},\"rate\":{},\"processorMicros\":{},\"medianMicros\":0}}",
        count, seconds, count as f64 / seconds, (used() - before) * 1e6 / count as f64
    );
}
