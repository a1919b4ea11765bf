# The service in a container: docker build -t orchestrator .

FROM rust:1.95-trixie AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY .cargo ./.cargo
COPY src ./src
COPY web ./web
COPY migrations ./migrations
# The binary carries its own runbook.
COPY ops/RUNBOOK.md ./ops/RUNBOOK.md
# Cargo wants to see every target that Cargo.toml names, though it builds one only.
COPY benches ./benches
COPY tests ./tests
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin orchestrator \
    && cp target/release/orchestrator /usr/local/bin/orchestrator \
    && install -d -m 0700 /state /state/data /state/logs

# No shell and no package manager: the C library, certificates for MongoDB over TLS, time zones for
# RETENTION_AT, and the user 65532.
FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /usr/local/bin/orchestrator /usr/local/bin/orchestrator
COPY --from=build --chown=65532:65532 /state /var/lib/orchestrator
USER 65532:65532
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
