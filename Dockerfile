# The image of the broker, in two kinds:
#     docker build --tag leveret .
#     docker build --tag leveret:distroless --target distroless .
# The first has a shell and the programs of Debian that scripts for RabbitMQ's image call; the second has nothing but
# the broker and its tools. `cargo xtask image` does what is written here without a container engine, and tries the result.

FROM rust:1.95-slim-bookworm AS compile
RUN apt-get update \
    && apt-get install --yes --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/* \
    && rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /src
COPY . .
RUN packaging/build-static.sh /out/leveret

FROM debian:bookworm-slim AS files
RUN groupadd --system --gid 999 rabbitmq \
    && useradd --system --uid 999 --gid rabbitmq --home-dir /var/lib/rabbitmq rabbitmq
COPY --from=compile /out/leveret /usr/local/bin/leveret
COPY packaging/image/docker-entrypoint.sh packaging/image/gosu /usr/local/bin/
COPY packaging/image/10-defaults.conf /etc/rabbitmq/conf.d/10-defaults.conf
COPY packaging/image/enabled_plugins /etc/rabbitmq/enabled_plugins
# The places of RabbitMQ's image. Any user may write there, since `docker run --user` may name any.
RUN leveret install-links /opt/rabbitmq/sbin \
    && ln -s /opt/rabbitmq/sbin/rabbitmqadmin /usr/local/bin/rabbitmqadmin \
    && mkdir -p /opt/rabbitmq/plugins /var/lib/rabbitmq/mnesia /var/log/rabbitmq /tmp/rabbitmq-ssl \
    && ln -s /opt/rabbitmq/plugins /plugins \
    && chown -R rabbitmq:rabbitmq /opt/rabbitmq/plugins /etc/rabbitmq /var/lib/rabbitmq /var/log/rabbitmq /tmp/rabbitmq-ssl \
    && chmod 1777 /etc/rabbitmq /etc/rabbitmq/conf.d /var/lib/rabbitmq /var/lib/rabbitmq/mnesia /var/log/rabbitmq /tmp/rabbitmq-ssl

FROM scratch AS distroless
COPY --from=files /etc/passwd /etc/group /etc/
COPY --from=files /usr/local/bin/leveret /usr/local/bin/leveret
COPY --from=files /opt/rabbitmq /opt/rabbitmq
COPY --from=files --chown=999:999 /etc/rabbitmq /etc/rabbitmq
COPY --from=files --chown=999:999 /var/lib/rabbitmq /var/lib/rabbitmq
COPY --from=files --chown=999:999 /var/log/rabbitmq /var/log/rabbitmq
ENV PATH=/opt/rabbitmq/sbin:/usr/local/bin \
    HOME=/var/lib/rabbitmq \
    RABBITMQ_DATA_DIR=/var/lib/rabbitmq \
    RABBITMQ_HOME=/opt/rabbitmq
LABEL org.springframework.boot.service-connection=rabbitmq
USER 999:999
VOLUME /var/lib/rabbitmq
EXPOSE 5672 15672 15692
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=200ms \
    CMD ["rabbitmq-diagnostics", "-q", "check_port_connectivity"]
ENTRYPOINT ["/opt/rabbitmq/sbin/rabbitmq-server"]

FROM files AS default
ENV PATH=/opt/rabbitmq/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/var/lib/rabbitmq \
    LANG=C.UTF-8 \
    RABBITMQ_DATA_DIR=/var/lib/rabbitmq \
    RABBITMQ_HOME=/opt/rabbitmq
# Spring Boot's Docker Compose support finds its broker by this.
LABEL org.springframework.boot.service-connection=rabbitmq
VOLUME /var/lib/rabbitmq
# What listens without a word of configuration. Runners that probe exposed ports must not wait for TLS (5671, 15671).
EXPOSE 5672 15672 15692
STOPSIGNAL SIGTERM
# The start interval counts until the first success: what depends on this container starts with it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --start-interval=200ms \
    CMD ["rabbitmq-diagnostics", "-q", "check_port_connectivity"]
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["rabbitmq-server"]
