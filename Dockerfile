# Two stages: a builder with a compiler, and an image with neither compiler nor headers.
# BASE is an official Python image, or a Debian one from 12 on (debian:trixie-slim), whose own Python is installed. A name
# with a digest (python:3.13-slim-trixie@sha256:...) is the same image whenever it is built.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS builder
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev libkrb5-dev \
    $(python3 -c 'import ensurepip, sysconfig; open(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null \
      || echo python3-dev python3-venv) \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml hashes.txt ./
COPY tools/hashes.py tools/
# In an environment of its own, because Debian's Python takes no packages from pip (PEP 668). A file with another digest
# than hashes.txt names is refused.
RUN python3 -m venv /build \
 && python3 tools/hashes.py build >/build/hashes.txt \
 && /build/bin/pip install --no-cache-dir --require-hashes --no-deps -r /build/hashes.txt \
 && python3 tools/hashes.py run kerberos >/build/hashes.txt \
 && /build/bin/pip wheel --no-cache-dir --require-hashes --no-deps --no-build-isolation --wheel-dir /wheels -r /build/hashes.txt
COPY setup.py MANIFEST.in README.md LICENSE ./
COPY lbproxy lbproxy
# `lbproxy help` reads it: lbproxy/config/reference.toml is a link to it.
COPY config/lbproxy.toml config/
RUN /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .
RUN python3 -m venv --without-pip /opt/lbproxy \
 && /build/bin/pip --python /opt/lbproxy/bin/python install --no-cache-dir --no-compile --no-index --no-deps /wheels/*.whl \
 && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/lbproxy/lib

FROM ${BASE}
# One layer: what the builder has made is copied where the packages are installed.
RUN --mount=type=bind,from=builder,source=/opt/lbproxy,target=/built \
    apt-get update \
 && apt-get install -y --no-install-recommends libgssapi-krb5-2 $(command -v python3 >/dev/null || echo python3) \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lbproxy \
 && install -d /etc/lbproxy \
 && install -d -o lbproxy -g lbproxy -m 0750 /run/lbproxy \
 && cp -a /built /opt/lbproxy
ENV PATH=/opt/lbproxy/bin:$PATH PYTHONUNBUFFERED=1
# By number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
# The admin socket of the default configuration. A health check keeps what it prints: nothing, unless it fails.
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
    CMD lbproxy status --admin unix:/run/lbproxy/admin.sock >/dev/null
ENTRYPOINT ["lbproxy"]
CMD ["run", "-c", "/etc/lbproxy/lbproxy.toml"]
