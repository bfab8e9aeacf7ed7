//! What lapin shows when the broker refuses something.
//!
//! The texts are the broker's, to the letter: people search for them, and programs compare them.

use anyhow::Result;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicRecoverOptions,
    ChannelFlowOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::protocol::{AMQPHardError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ExchangeKind};
use leveret_interop_lapin::refusal::{assert_refused, assert_refused_later};
use leveret_interop_lapin::scenario::{
    assert_usable, connect, consume, delete_queue, durable_queue, publish, run, temporary_queue, unique,
};
use leveret_tests::broker::peer;

const NOT_FOUND: AMQPSoftError = AMQPSoftError::NOTFOUND;
const ACCESS_REFUSED: AMQPSoftError = AMQPSoftError::ACCESSREFUSED;
const PRECONDITION_FAILED: AMQPSoftError = AMQPSoftError::PRECONDITIONFAILED;
const NOT_ALLOWED: AMQPHardError = AMQPHardError::NOTALLOWED;
const NOT_IMPLEMENTED: AMQPHardError = AMQPHardError::NOTIMPLEMENTED;

/// Each refused call needs a new channel: the error has closed the one before.
async fn channel(connection: &Connection) -> Result<Channel> {
    Ok(connection.create_channel().await?)
}

/// After a hard error the connection is gone, and another one can be made.
async fn assert_dead(connection: &Connection) -> Result<()> {
    assert!(connection.create_channel().await.is_err());
    let next = connect().await?;
    assert_usable(&next).await?;
    next.close(200, "OK".into()).await?;
    Ok(())
}

#[test]
fn not_found_names_the_queue() {
    run(async {
        let connection = connect().await?;
        let queue = unique("missing");
        let text = format!("NOT_FOUND - no queue '{queue}' in vhost '/'");
        let (name, arguments) = (queue.as_str(), FieldTable::default());

        let passive = QueueDeclareOptions::default().passive();
        let declare = channel(&connection).await?;
        let answer = declare.queue_declare(name.into(), passive, arguments.clone());
        assert_refused(answer.await, NOT_FOUND, &text);
        assert!(!declare.status().connected());

        let consume = channel(&connection).await?;
        let options = BasicConsumeOptions::default();
        let answer = consume.basic_consume(name.into(), "".into(), options, arguments.clone());
        assert_refused(answer.await, NOT_FOUND, &text);

        let get = channel(&connection).await?;
        let answer = get.basic_get(name.into(), BasicGetOptions::default());
        assert_refused(answer.await, NOT_FOUND, &text);

        let purge = channel(&connection).await?;
        let answer = purge.queue_purge(name.into(), QueuePurgeOptions::default());
        assert_refused(answer.await, NOT_FOUND, &text);

        let bind = channel(&connection).await?;
        let (exchange, options) = ("amq.direct".into(), QueueBindOptions::default());
        let answer = bind.queue_bind(name.into(), exchange, "".into(), options, arguments);
        assert_refused(answer.await, NOT_FOUND, &text);

        assert_usable(&connection).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn not_found_names_the_exchange() {
    run(async {
        let connection = connect().await?;
        let exchange = unique("missing");
        let text = format!("NOT_FOUND - no exchange '{exchange}' in vhost '/'");

        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        let declare = channel(&connection).await?;
        let (kind, arguments) = (ExchangeKind::Direct, FieldTable::default());
        let answer = declare.exchange_declare(exchange.as_str().into(), kind, passive, arguments);
        assert_refused(answer.await, NOT_FOUND, &text);

        // Publishing has no reply. The error comes a little later and closes the channel.
        let mut events = connection.events_listener();
        let publisher = channel(&connection).await?;
        publish(&publisher, &exchange, "", "lost").await?;
        assert_refused_later(&mut events, NOT_FOUND, &text).await?;
        assert_usable(&connection).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn an_error_shows_in_the_confirm_of_its_publish() {
    run(async {
        let connection = connect().await?;
        let channel = channel(&connection).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let exchange = unique("missing");
        let confirm = channel
            .basic_publish(
                exchange.as_str().into(),
                "".into(),
                BasicPublishOptions::default(),
                b"lost",
                BasicProperties::default(),
            )
            .await?;
        let text = format!("NOT_FOUND - no exchange '{exchange}' in vhost '/'");
        assert_refused(confirm.await, NOT_FOUND, &text);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn the_text_of_an_error_is_readable() {
    run(async {
        let connection = connect().await?;
        let channel = channel(&connection).await?;
        let options = BasicGetOptions::default();
        let answer = channel.basic_get("no-such-queue".into(), options).await;
        let error = answer.expect_err("no such queue");
        assert!(error.is_amqp_soft_error());
        assert!(!error.is_amqp_hard_error());
        let text = error.to_string();
        let expected = "NOT_FOUND - no queue 'no-such-queue' in vhost '/'";
        assert!(text.contains(expected), "{text}");
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn reserved_names_are_refused() {
    run(async {
        let connection = connect().await?;
        let arguments = FieldTable::default();
        let queue = channel(&connection).await?;
        let options = QueueDeclareOptions::exclusive();
        let answer = queue.queue_declare("amq.mine".into(), options, arguments.clone());
        let text = "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'";
        assert_refused(answer.await, ACCESS_REFUSED, text);

        let exchange = channel(&connection).await?;
        let (kind, options) = (ExchangeKind::Direct, ExchangeDeclareOptions::default());
        let answer = exchange.exchange_declare("amq.mine".into(), kind, options, arguments);
        let text = "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'";
        assert_refused(answer.await, ACCESS_REFUSED, text);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn the_brokers_own_exchanges_are_protected() {
    run(async {
        let connection = connect().await?;
        let delete = channel(&connection).await?;
        let options = ExchangeDeleteOptions::default();
        let answer = delete.exchange_delete("amq.direct".into(), options);
        let text = "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed";
        assert_refused(answer.await, ACCESS_REFUSED, text);

        let bind = channel(&connection).await?;
        let queue = temporary_queue(&bind).await?;
        let (name, options) = (queue.as_str().into(), QueueBindOptions::default());
        let answer = bind.queue_bind(name, "".into(), "key".into(), options, FieldTable::default());
        let text = "ACCESS_REFUSED - operation not permitted on the default exchange";
        assert_refused(answer.await, ACCESS_REFUSED, text);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn publishing_to_an_internal_exchange_is_refused() {
    run(async {
        let connection = connect().await?;
        let mut events = connection.events_listener();
        let owner = channel(&connection).await?;
        let exchange = unique("internal");
        let name = exchange.as_str();
        let internal = ExchangeDeclareOptions { internal: true, ..ExchangeDeclareOptions::default() };
        let (kind, arguments) = (ExchangeKind::Fanout, FieldTable::default());
        owner.exchange_declare(name.into(), kind, internal, arguments).await?;

        let intruder = channel(&connection).await?;
        publish(&intruder, name, "", "knock knock").await?;
        let text = format!("ACCESS_REFUSED - cannot publish to internal exchange '{exchange}' in vhost '/'");
        assert_refused_later(&mut events, ACCESS_REFUSED, &text).await?;
        let options = ExchangeDeleteOptions::default();
        owner.exchange_delete(name.into(), options).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn another_declaration_of_the_same_queue_is_refused() {
    run(async {
        let connection = connect().await?;
        let owner = channel(&connection).await?;
        let queue = unique("declared");
        durable_queue(&owner, &queue).await?;
        let inequivalent = |arg: &str, rest: &str| {
            format!("PRECONDITION_FAILED - inequivalent arg '{arg}' for queue '{queue}' in vhost '/': {rest}")
        };

        let other = channel(&connection).await?;
        let (options, arguments) = (QueueDeclareOptions::default(), FieldTable::default());
        let answer = other.queue_declare(queue.as_str().into(), options, arguments);
        let text = inequivalent("durable", "received 'false' but current is 'true'");
        assert_refused(answer.await, PRECONDITION_FAILED, &text);

        let other = channel(&connection).await?;
        let options = QueueDeclareOptions::durable();
        let mut arguments = FieldTable::default();
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(1000));
        let answer = other.queue_declare(queue.as_str().into(), options, arguments);
        let text = inequivalent("x-message-ttl", "received the value '1000' of type 'signedint' but current is none");
        assert_refused(answer.await, PRECONDITION_FAILED, &text);
        delete_queue(&owner, &queue).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn another_type_of_the_same_exchange_is_refused() {
    run(async {
        let connection = connect().await?;
        let channel = channel(&connection).await?;
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let (kind, arguments) = (ExchangeKind::Fanout, FieldTable::default());
        let answer = channel.exchange_declare("amq.topic".into(), kind, options, arguments);
        assert_refused(
            answer.await,
            PRECONDITION_FAILED,
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.topic' in vhost '/': \
             received 'fanout' but current is 'topic'",
        );
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn an_unknown_exchange_type_is_refused() {
    run(async {
        let connection = connect().await?;
        let channel = channel(&connection).await?;
        let kind = ExchangeKind::Custom("x-none".to_owned());
        let (options, arguments) = (ExchangeDeclareOptions::default(), FieldTable::default());
        let answer = channel.exchange_declare(unique("odd").into(), kind, options, arguments);
        // Before version 4.0 this cost the connection.
        if peer() {
            let text = "COMMAND_INVALID - unknown exchange type 'x-none'";
            assert_refused(answer.await, AMQPHardError::COMMANDINVALID, text);
            return assert_dead(&connection).await;
        }
        let text = "PRECONDITION_FAILED - unknown exchange type 'x-none'";
        assert_refused(answer.await, PRECONDITION_FAILED, text);
        assert_usable(&connection).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn conditions_of_a_deletion_are_checked() {
    run(async {
        let connection = connect().await?;
        let owner = channel(&connection).await?;
        let queue = unique("kept");
        durable_queue(&owner, &queue).await?;
        publish(&owner, "", &queue, "something").await?;

        let careful = channel(&connection).await?;
        let if_empty = QueueDeleteOptions { if_empty: true, ..QueueDeleteOptions::default() };
        let answer = careful.queue_delete(queue.as_str().into(), if_empty).await;
        let text = format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty");
        assert_refused(answer, PRECONDITION_FAILED, &text);

        let _consumer = consume(&owner, &queue).await?;
        let careful = channel(&connection).await?;
        let if_unused = QueueDeleteOptions { if_unused: true, ..QueueDeleteOptions::default() };
        let answer = careful.queue_delete(queue.as_str().into(), if_unused).await;
        let text = format!("PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use");
        assert_refused(answer, PRECONDITION_FAILED, &text);
        delete_queue(&owner, &queue).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn acknowledging_what_is_not_held_is_refused() {
    run(async {
        let connection = connect().await?;
        let mut events = connection.events_listener();
        let unknown = channel(&connection).await?;
        unknown.basic_ack(42, BasicAckOptions::default()).await?;
        let text = "PRECONDITION_FAILED - unknown delivery tag 42";
        assert_refused_later(&mut events, PRECONDITION_FAILED, text).await?;

        let twice = channel(&connection).await?;
        let queue = temporary_queue(&twice).await?;
        publish(&twice, "", &queue, "once").await?;
        let options = BasicGetOptions::default();
        let message = twice.basic_get(queue.as_str().into(), options).await?;
        assert_eq!(message.expect("the message").delivery_tag, 1);
        twice.basic_ack(1, BasicAckOptions::default()).await?;
        twice.basic_ack(1, BasicAckOptions::default()).await?;
        let text = "PRECONDITION_FAILED - unknown delivery tag 1";
        assert_refused_later(&mut events, PRECONDITION_FAILED, text).await?;
        assert_usable(&connection).await?;
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn confirms_and_transactions_exclude_each_other() {
    run(async {
        let connection = connect().await?;
        let transactional = channel(&connection).await?;
        transactional.tx_select().await?;
        let options = ConfirmSelectOptions::default();
        let answer = transactional.confirm_select(options).await;
        let text = "PRECONDITION_FAILED - cannot switch from tx to confirm mode";
        assert_refused(answer, PRECONDITION_FAILED, text);

        let confirming = channel(&connection).await?;
        confirming.confirm_select(options).await?;
        let text = "PRECONDITION_FAILED - cannot switch from confirm to tx mode";
        assert_refused(confirming.tx_select().await, PRECONDITION_FAILED, text);

        let text = "PRECONDITION_FAILED - channel is not transactional";
        let plain = channel(&connection).await?;
        assert_refused(plain.tx_commit().await, PRECONDITION_FAILED, text);
        let plain = channel(&connection).await?;
        assert_refused(plain.tx_rollback().await, PRECONDITION_FAILED, text);
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn properties_that_the_broker_reads_are_checked() {
    run(async {
        let connection = connect().await?;
        let mut events = connection.events_listener();
        let options = BasicPublishOptions::default();
        let odd = [
            (
                BasicProperties::default().with_expiration("soon".into()),
                "PRECONDITION_FAILED - invalid expiration 'soon': no_integer",
            ),
            (
                BasicProperties::default().with_user_id("mallory".into()),
                "PRECONDITION_FAILED - user_id property set to 'mallory' but authenticated user was 'guest'",
            ),
        ];
        for (properties, text) in odd {
            let channel = channel(&connection).await?;
            let (exchange, key) = ("amq.fanout".into(), "".into());
            channel.basic_publish(exchange, key, options, b"", properties).await?;
            assert_refused_later(&mut events, PRECONDITION_FAILED, text).await?;
        }
        connection.close(200, "OK".into()).await?;
        Ok(())
    });
}

#[test]
fn a_consumer_tag_in_use_costs_the_connection() {
    run(async {
        let connection = connect().await?;
        let channel = channel(&connection).await?;
        let queue = temporary_queue(&channel).await?;
        let (name, tag) = (queue.as_str(), "twin");
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let _first = channel.basic_consume(name.into(), tag.into(), options, arguments.clone()).await?;
        let answer = channel.basic_consume(name.into(), tag.into(), options, arguments);
        let text = "NOT_ALLOWED - attempt to reuse consumer tag 'twin'";
        assert_refused(answer.await, NOT_ALLOWED, text);
        assert_dead(&connection).await
    });
}

#[test]
fn what_the_broker_does_not_implement_costs_the_connection() {
    run(async {
        let connection = connect().await?;
        let recover = channel(&connection).await?;
        let options = BasicRecoverOptions { requeue: false };
        let answer = recover.basic_recover(options).await;
        let text = "NOT_IMPLEMENTED - requeue=false";
        assert_refused(answer, NOT_IMPLEMENTED, text);
        assert_dead(&connection).await?;

        let connection = connect().await?;
        let flow = channel(&connection).await?;
        let answer = flow.channel_flow(ChannelFlowOptions { active: false });
        let text = "NOT_IMPLEMENTED - active=false";
        assert_refused(answer.await, NOT_IMPLEMENTED, text);
        assert_dead(&connection).await
    });
}
