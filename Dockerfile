FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package leveret

FROM debian:bookworm-slim
RUN useradd --system --uid 999 --create-home --home-dir /var/lib/leveret leveret
COPY --from=build /src/target/release/leveret /usr/local/bin/leveret
USER leveret
VOLUME /var/lib/leveret
EXPOSE 5672
STOPSIGNAL SIGTERM
# Spring Boot's Docker Compose support finds its broker by this.
LABEL org.springframework.boot.service-connection=rabbitmq
HEALTHCHECK --interval=5s --timeout=3s --start-period=1s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/5672"]
# A client outside of the container never comes from its loopback address.
ENV LEVERET_DATA_DIR=/var/lib/leveret LEVERET_REMOTE_GUEST=true
ENTRYPOINT ["leveret"]
CMD ["serve"]
