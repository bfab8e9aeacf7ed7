#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]
mod common;
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live() {
    let broker = common::Broker::start().await;
    std::fs::write("/tmp/httpa/openapi.json", broker.raw("GET", "/api/openapi.json", "", "").await.text).unwrap();
    broker.stop().await;
}
