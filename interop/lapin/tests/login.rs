//! Connecting: who may, to which virtual host, and what both sides agree on.

use lapin::protocol::{AMQPHardError, AMQPSoftError};
use lapin::{Connection, ConnectionProperties};
use leveret_interop_lapin::refusal::assert_refused;
use leveret_interop_lapin::scenario::{
    assert_usable, connect, connect_with, drain, publish, run, temporary_queue, url,
};
use leveret_tests::broker::peer;

fn properties() -> ConnectionProperties {
    ConnectionProperties::default().with_connection_name("lapin login tests".into())
}

#[test]
fn a_wrong_password_is_refused() {
    run(async {
        for login in ["guest:wrong@", "nobody:guest@"] {
            let url = url().replace("guest:guest@", login);
            let answer = Connection::connect(&url, properties()).await;
            assert_refused(
                answer,
                AMQPSoftError::ACCESSREFUSED,
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                 For details see the broker logfile.",
            );
        }
        Ok(())
    });
}

#[test]
fn an_unknown_virtual_host_is_refused() {
    run(async {
        let url = url().replace("/%2f", "/nowhere");
        let answer = Connection::connect(&url, properties()).await;
        let text = "NOT_ALLOWED - vhost nowhere not found";
        assert_refused(answer, AMQPHardError::NOTALLOWED, text);
        Ok(())
    });
}

#[test]
fn amqplain_works_as_plain_does() {
    run(async {
        let connection = connect_with("?auth_mechanism=amqplain").await?;
        assert_usable(&connection).await?;
        connection.close(200, "OK".into()).await?;

        let url = url().replace("guest:guest@", "guest:wrong@") + "?auth_mechanism=amqplain";
        assert_refused(
            Connection::connect(&url, properties()).await,
            AMQPSoftError::ACCESSREFUSED,
            "ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN. \
             For details see the broker logfile.",
        );
        Ok(())
    });
}

#[test]
fn anonymous_is_guest() {
    // RabbitMQ offers this mechanism from version 4.0 on.
    if peer() {
        return;
    }
    run(async {
        let connection = connect_with("?auth_mechanism=anonymous").await?;
        assert_usable(&connection).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn both_sides_agree_on_the_lower_limits() {
    run(async {
        let connection = connect().await?;
        let agreed = connection.configuration();
        let limits = (agreed.channel_max(), agreed.frame_max(), agreed.heartbeat());
        assert_eq!(limits, (2047, 131_072, 60));
        connection.close(200, "OK".into()).await?;

        let connection = connect_with("?channel_max=9&frame_max=16384&heartbeat=30").await?;
        let agreed = connection.configuration();
        let limits = (agreed.channel_max(), agreed.frame_max(), agreed.heartbeat());
        assert_eq!(limits, (9, 16_384, 30));
        let channel = connection.create_channel().await?;
        let queue = temporary_queue(&channel).await?;
        publish(&channel, "", &queue, "it works").await?;
        assert_eq!(drain(&channel, &queue).await?, ["it works"]);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_new_secret_is_accepted() {
    run(async {
        let connection = connect().await?;
        connection.update_secret("guest".into(), "rotation".into()).await?;
        assert_usable(&connection).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_closed_connection_can_be_followed_by_another_one() {
    run(async {
        for _ in 0..20 {
            let connection = Connection::connect(&url(), properties()).await?;
            assert!(connection.status().connected());
            connection.close(200, "OK".into()).await?;
            assert!(!connection.status().connected());
        }
        Ok(())
    });
}
