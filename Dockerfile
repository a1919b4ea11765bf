# syntax=docker/dockerfile:1
# The service in a container: docker build -t orchestrator .

FROM rust:1.95-slim-bookworm AS build
# SQLite and the cryptography of TLS are compiled from C.
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src ./src
COPY web ./web
COPY migrations ./migrations
# Cargo wants to see every target that Cargo.toml names, though it builds one only.
COPY benches ./benches
COPY tests ./tests
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin orchestrator \
    && cp target/release/orchestrator /usr/local/bin/orchestrator

FROM debian:bookworm-slim
# Certificates for MongoDB over TLS; time zones for RETENTION_AT.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/orchestrator \
        --shell /usr/sbin/nologin orchestrator \
    && install -d -o orchestrator -g orchestrator -m 0700 \
        /var/lib/orchestrator /var/lib/orchestrator/data /var/lib/orchestrator/logs
COPY --from=build /usr/local/bin/orchestrator /usr/local/bin/orchestrator
USER 10001:10001
WORKDIR /var/lib/orchestrator
# Within a container every address is its own; what is reachable is for those to say who run it.
ENV ORCHESTRATOR_ENV=production \
    HOST=0.0.0.0 \
    METRICS_HOST=0.0.0.0 \
    LOG_FORMAT=json
VOLUME ["/var/lib/orchestrator/data", "/var/lib/orchestrator/logs"]
EXPOSE 3000 9100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=90s --retries=3 \
    CMD ["orchestrator", "healthcheck"]
ENTRYPOINT ["orchestrator"]
CMD ["serve"]
