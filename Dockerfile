# The image of s3rs: one virtual environment, made from uv.lock, on a plain Python.
#
#   docker build -t s3rs .
#   docker run --read-only --tmpfs /tmp -v ./config:/s3rs/config:ro --env-file secrets.env s3rs sync -t shop.orders
#
# Settings are found at /s3rs/config, where S3RS_CONFIG points, or in DB_HOST, … alone (see README). No step
# needs BuildKit. BASE is any Debian-like image whose python3 is 3.11 or newer and has venv; a release names it
# by digest and adds version and revision with --label.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
# uv comes from PyPI: the index, mirror and proxy that serve the packages serve it too, and no second registry
# has to be reachable or trusted. It stays in this stage.
ARG UV_VERSION=0.13.9
RUN python3 -m venv /uv && /uv/bin/pip install --no-cache-dir --only-binary=:all: "uv==${UV_VERSION}"
ENV UV_PROJECT_ENVIRONMENT=/opt/s3rs \
    UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1
WORKDIR /src
# The dependencies alone first: they change with the lock, the source with every commit.
COPY pyproject.toml uv.lock ./
RUN /uv/bin/uv sync --locked --no-dev --no-default-groups --no-editable --no-install-project
COPY README.md LICENSE ./
COPY s3rs_async s3rs_async
RUN /uv/bin/uv sync --locked --no-dev --no-default-groups --no-editable

FROM ${BASE}
LABEL org.opencontainers.image.title="s3rs" \
      org.opencontainers.image.description="MySQL tables to Amazon Redshift by way of parquet on S3" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/s3rs /opt/s3rs
# The file system may be read-only: what is written (the memory of S3's self test) goes below /tmp. USER is the
# name that the SSH client asks for, since no account is made: any numeric user will do.
ENV PATH=/opt/s3rs/bin:${PATH} \
    HOME=/tmp \
    USER=s3rs \
    XDG_CACHE_HOME=/tmp/cache \
    PYTHONDONTWRITEBYTECODE=1
# A base without time zones (old names too, MySQL servers are set to them) or authorities would fail at night only.
RUN python3 -c "import ssl, zoneinfo; \
    [zoneinfo.ZoneInfo(name) for name in ('Europe/Berlin', 'US/Pacific')]; \
    assert ssl.create_default_context().get_ca_certs(), 'no CA certificates'"
WORKDIR /s3rs
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# No HEALTHCHECK: the same image runs `sync` and `daemon`, and only the latter listens; its probes are the
# orchestrator's to declare. PID 1 handles its signals itself, so no init is needed.
ENTRYPOINT ["s3rs"]
CMD ["--help"]
