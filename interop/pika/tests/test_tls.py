"""TLS, and certificates that log in: a broker of its own, with what openssl makes."""

import os
import ssl
import subprocess

import pika
import pytest
from conftest import await_start, find_binary
from pika.exceptions import AMQPConnectionError

STOP_SECONDS_MAX = 60


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    """ca.pem, and server and client certificates that it signs: NAME.pem and NAME.key."""
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-x509", "-days", "2", "-subj", "/CN=Authority", "-keyout", "ca.key", "-out", "ca.pem"]
    openssl(folder, "req", *ec, *authority)
    for name in ("server", "guest", "stranger"):
        openssl(folder, "req", *ec, "-subj", f"/O=Leveret/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext"]
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """The folder with the certificates, and the port of a broker that speaks TLS and takes names from certificates."""
    if os.environ.get("AMQP_URL"):
        pytest.skip("it needs a broker of its own")
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder)
    settings = {
        "listeners.tcp": "none",
        "listeners.ssl.1": "127.0.0.1:0",
        "ssl_options.cacertfile": folder / "ca.pem",
        "ssl_options.certfile": folder / "server.pem",
        "ssl_options.keyfile": folder / "server.key",
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
        "ssl_cert_login_from": "common_name",
        "auth_mechanisms.1": "PLAIN",
        "auth_mechanisms.2": "EXTERNAL",
    }
    config = folder / "rabbitmq.conf"
    config.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
    with (folder / "stderr.log").open("wb") as stderr:
        command = [find_binary(), "serve", "--ephemeral", "--config", config]
        command += ["--management-port", "0", "--prometheus-port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        address = await_start(process)
        assert address, (folder / "stderr.log").read_text()
        yield folder, int(address.rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(STOP_SECONDS_MAX)


def connect(secure, name, credentials):
    folder, port = secure
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if name:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    options = pika.SSLOptions(context, "localhost")
    return pika.BlockingConnection(
        pika.ConnectionParameters("127.0.0.1", port, ssl_options=options, credentials=credentials)
    )


def test_a_certificate_logs_in(secure):
    with connect(secure, "guest", pika.credentials.ExternalCredentials()) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        body = os.urandom(1_000_000)
        channel.basic_publish("", queue, body)
        method, _, received = channel.basic_get(queue, auto_ack=True)
        assert method and received == body


def test_a_password_still_does(secure):
    with connect(secure, "stranger", pika.PlainCredentials("guest", "guest")) as connection:
        assert connection.channel().is_open


def test_a_certificate_of_nobody_does_not(secure):
    with pytest.raises(AMQPConnectionError):
        connect(secure, "stranger", pika.credentials.ExternalCredentials())


def test_nobody_comes_in_without_a_certificate(secure):
    with pytest.raises((AMQPConnectionError, ssl.SSLError)):
        connect(secure, None, pika.PlainCredentials("guest", "guest"))
