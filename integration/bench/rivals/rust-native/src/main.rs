//! pulsar-rs, measured as ours is:   rivals-native produce|consume PORT TOPIC COUNT SIZE OUTSTANDING SUBSCRIPTION
use futures_util::TryStreamExt;
use pulsar::{consumer::InitialPosition, Consumer, ConsumerOptions, Pulsar, TokioExecutor};
use std::collections::VecDeque;
use std::time::Instant;

fn used() -> f64 {
    let mut r: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut r) };
    (r.ru_utime.tv_sec + r.ru_stime.tv_sec) as f64 + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) as f64 / 1e6
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), pulsar::Error> {
    let a: Vec<String> = std::env::args().collect();
    let (count, size, outstanding): (usize, usize, usize) = (a[4].parse().unwrap(), a[5].parse().unwrap(), a[6].parse().unwrap());
    let topic = format!("persistent://public/default/{}", a[3]);
    let client: Pulsar<_> = Pulsar::builder(format!("pulsar://127.0.0.1:{}", a[2]), TokioExecutor)
        .with_outbound_channel_size(outstanding + 100) // what does not fit is refused
        .build()
        .await?;
    let (began, before);
    if a[1] == "produce" {
        let payload = vec![b'x'; size];
        let mut producer = client.producer().with_topic(topic).build().await?;
        (began, before) = (Instant::now(), used());
        let mut waiting = VecDeque::new();
        for _ in 0..count {
            if waiting.len() == outstanding {
                let receipt: pulsar::producer::SendFuture = waiting.pop_front().unwrap();
                receipt.await?;
            }
            waiting.push_back(producer.send_non_blocking(payload.clone()).await?);
        }
        for receipt in waiting {
            receipt.await?;
        }
    } else {
        let mut consumer: Consumer<Vec<u8>, _> = client
            .consumer()
            .with_topic(topic)
            .with_subscription(&a[7])
            .with_options(ConsumerOptions::default().with_initial_position(InitialPosition::Earliest))
            .build()
            .await?;
        (began, before) = (Instant::now(), used());
        for _ in 0..count {
            let message = consumer.try_next().await?.expect("the broker closed");
            consumer.ack(&message).await?;
        }
    }
    let (seconds, processor) = (began.elapsed().as_secs_f64(), used() - before);
    println!(
        "{{\"messages\":{},\"seconds\":{},\"rate\":{},\"processorMicros\":{},\"medianMicros\":0}}",
        count, seconds, count as f64 / seconds, processor * 1e6 / count as f64
    );
    Ok(())
}
