# Two stages: a builder with a compiler, and an image with neither compiler nor headers.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS builder
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev libkrb5-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY constraints.txt ./
RUN pip install --no-cache-dir --root-user-action=ignore -c constraints.txt setuptools Cython
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY lbproxy lbproxy
RUN pip wheel --no-cache-dir --no-build-isolation -c constraints.txt --wheel-dir /wheels '.[kerberos]'
RUN python3 -m venv --without-pip /opt/lbproxy \
 && pip --python /opt/lbproxy/bin/python install --no-cache-dir --no-index /wheels/*.whl

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgssapi-krb5-2 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lbproxy \
 && install -d /etc/lbproxy \
 && install -d -o lbproxy -g lbproxy -m 0750 /run/lbproxy
COPY --from=builder /opt/lbproxy /opt/lbproxy
ENV PATH=/opt/lbproxy/bin:$PATH PYTHONUNBUFFERED=1
# By number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
# The admin socket of the default configuration. A health check keeps what it prints: nothing, unless it fails.
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
    CMD lbproxy status --admin unix:/run/lbproxy/admin.sock >/dev/null
ENTRYPOINT ["lbproxy"]
CMD ["run", "-c", "/etc/lbproxy/lbproxy.toml"]
