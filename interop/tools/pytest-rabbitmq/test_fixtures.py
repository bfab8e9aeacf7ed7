"""What a project's own tests do with these fixtures."""

QUEUE = "left-behind"


def test_process(rabbitmq_proc, rabbitmq):
    assert rabbitmq_proc.running()
    rabbitmq.channel().queue_declare(QUEUE)
    assert QUEUE in rabbitmq_proc.list_queues()
    assert any(line.startswith("amq.topic") for line in rabbitmq_proc.list_exchanges())


def test_clean_first(rabbitmq):
    rabbitmq.channel().queue_declare(QUEUE, durable=True)


def test_clean_second(rabbitmq_proc, rabbitmq):
    assert QUEUE not in rabbitmq_proc.list_queues()
