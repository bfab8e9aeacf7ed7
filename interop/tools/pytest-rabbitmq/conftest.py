"""The fixtures of pytest-rabbitmq, with whatever broker the path leads to."""

import shutil

from pytest_rabbitmq import factories

rabbitmq_proc = factories.rabbitmq_proc(server=shutil.which("rabbitmq-server"), ctl=shutil.which("rabbitmqctl"))
rabbitmq = factories.rabbitmq("rabbitmq_proc")
