//! Heartbeats keep an idle connection alive.

use std::time::Duration;

use leveret_interop_lapin::scenario::{assert_usable, connect_with, drain, publish, run, temporary_queue};

#[test]
fn an_idle_connection_stays_usable() {
    run(async {
        let connection = connect_with("?heartbeat=3").await?;
        assert_eq!(connection.configuration().heartbeat(), 3);
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;

        // Either side would give up after two or three intervals without a sign of life from the other one.
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert!(connection.status().connected());
        publish(&channel, "", &queue, "still here").await?;
        assert_eq!(drain(&channel, &queue).await?, ["still here"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn the_lower_wish_wins() {
    run(async {
        // lapin takes the smaller of its own wish and the broker's proposal of 60 s.
        for (query, agreed_seconds) in [("", 60), ("?heartbeat=600", 60), ("?heartbeat=10", 10)] {
            let connection = connect_with(query).await?;
            assert_eq!(connection.configuration().heartbeat(), agreed_seconds);
            assert_usable(&connection).await?;
            connection.close(200, "OK".into()).await?;
        }
        Ok(())
    });
}
