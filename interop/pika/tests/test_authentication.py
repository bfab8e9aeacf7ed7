"""Who may come in: user, password, virtual host, mechanism."""

import struct

import pika
import pytest
from pika.exceptions import (
    AuthenticationError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

REFUSED = (
    "ConnectionClosedByBroker: (403) 'ACCESS_REFUSED - Login was refused using authentication "
    "mechanism {mechanism}. For details see the broker logfile.'"
)


class AmqPlain(pika.PlainCredentials):
    """The mechanism AMQPLAIN: user and password as the entries of a field table."""

    TYPE = "AMQPLAIN"

    def response_for(self, _start):
        def entry(key, value):
            length = struct.pack(">I", len(value))
            return bytes([len(key)]) + key + b"S" + length + value.encode()

        return self.TYPE, entry(b"LOGIN", self.username) + entry(b"PASSWORD", self.password)


class Anonymous(pika.PlainCredentials):
    """The mechanism ANONYMOUS: no name, no password."""

    TYPE = "ANONYMOUS"

    def response_for(self, _start):
        return self.TYPE, b""


@pytest.fixture
def more_mechanisms(monkeypatch):
    """pika asks that one's own kinds of credentials are made known to it."""
    kinds = [*pika.credentials.VALID_TYPES, AmqPlain, Anonymous]
    monkeypatch.setattr(pika.credentials, "VALID_TYPES", kinds)


def works(connection):
    return connection.channel().queue_declare("", exclusive=True).method.queue != ""


def test_guest_is_welcome_on_this_machine(connect):
    assert works(connect(credentials=pika.PlainCredentials("guest", "guest")))


@pytest.mark.parametrize(
    "user, password",
    [("guest", "wrong"), ("nobody", "guest"), ("guest", ""), ("", "guest"), ("guest", "guest ")],
)
def test_wrong_user_or_password(connect, user, password):
    # pika says "probable" because brokers of old just hung up.
    with pytest.raises(ProbableAuthenticationError) as refused:
        connect(credentials=pika.PlainCredentials(user, password))
    assert refused.value.args == (REFUSED.format(mechanism="PLAIN"),)


def test_the_next_attempt_may_succeed(connect):
    for _ in range(3):
        with pytest.raises(ProbableAuthenticationError):
            connect(credentials=pika.PlainCredentials("guest", "wrong"))
    assert works(connect())


def test_amqplain(connect, more_mechanisms):
    assert works(connect(credentials=AmqPlain("guest", "guest")))
    with pytest.raises(ProbableAuthenticationError) as refused:
        connect(credentials=AmqPlain("guest", "wrong"))
    assert refused.value.args == (REFUSED.format(mechanism="AMQPLAIN"),)


def test_anonymous(connect, more_mechanisms, peer_is_rabbitmq):
    if peer_is_rabbitmq:
        pytest.skip("RabbitMQ 3.10 does not have the mechanism yet")
    assert works(connect(credentials=Anonymous("", "")))


def test_a_mechanism_that_is_not_offered(connect):
    """pika compares its own with those offered and gives up by itself."""
    with pytest.raises(AuthenticationError):
        connect(credentials=pika.credentials.ExternalCredentials())


def test_a_virtual_host_that_does_not_exist(connect):
    with pytest.raises(ProbableAccessDeniedError) as refused:
        connect(virtual_host="nowhere")
    assert refused.value.args == (
        "ConnectionClosedByBroker: (530) 'NOT_ALLOWED - vhost nowhere not found'",
    )


def test_the_virtual_host_of_the_url(broker):
    parameters = pika.URLParameters(broker.url)
    assert parameters.virtual_host == "/"
    with pika.BlockingConnection(parameters) as connection:
        assert works(connection)


def test_a_new_secret(connect):
    """Clients whose password is a token that expires hand in the next one on the way."""
    connection = connect()
    channel = connection.channel()
    connection.update_secret("a new token", "the old one expires soon")
    assert channel.is_open
    assert works(connection)


def test_a_name_for_the_connection(connect):
    """Shown by the broker's tools; any client property is accepted."""
    properties = {"connection_name": "billing", "pid": 4711, "more": {"nested": [1, None, True]}}
    assert works(connect(client_properties=properties))
