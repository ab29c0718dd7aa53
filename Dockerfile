# Pin the base by digest where you build for others: --build-arg BASE=python:3.13-slim-bookworm@sha256:...
# Any base with Python 3.10 or newer as `python`, with pip and venv, will do; nothing below depends on the architecture.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
# Without pip in it: the base's own pip fills it, and none is left in it at run time.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --only-binary :all: \
        --no-deps --require-hashes -r requirements.lock \
    && awk '/^flit-core==/ { on = 1 } on { print } on && !/\\$/ { exit }' requirements-dev.lock > flit.lock \
    && python -m venv --without-pip /opt/builder \
    && python -m pip --python /opt/builder/bin/python install --no-cache-dir --only-binary :all: --no-deps --require-hashes -r flit.lock
COPY pyproject.toml README.md LICENSE ./
COPY packaging/sbom.py packaging/
COPY agent agent
# kubernetes is 126 of the environment's 169 MiB: its asyncio half goes, and of its models and APIs, which nobody imports, the
# bytecode is not made. unchecked-hash: .pyc files stay good whatever the copy below does to modification times. With a read-only root stale ones
# are compiled again at each start, which takes twice the memory and seconds.
RUN mkdir /wheels && /opt/builder/bin/python -m flit_core.wheel --outdir /wheels \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-index --no-deps /wheels/*.whl \
    && python packaging/sbom.py /opt/venv/share/imds-agent.cdx.json \
    && rm -r /opt/venv/lib/python3*/site-packages/kubernetes/aio \
    && python -m compileall -q -f -x '/kubernetes/client/(api|models)/[a-z]' --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${BASE}
# The official images come without bytecode of the standard library: half a second and 4 MiB at each start. What no agent
# imports is left out, pip above all: 25 MiB.
RUN ["python", "-c", "import compileall, py_compile, re, sysconfig; compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=2, force=True, rx=re.compile('/(site-packages|dist-packages|test|tests|idlelib|lib2to3|ensurepip|tkinter|turtledemo)/'), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"]
COPY --from=build /opt/venv /opt/venv
# PATH: so that `kubectl exec POD -- imds-agent doctor` finds it.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="imds-agent" \
    org.opencontainers.image.description="Labels Azure nodes from what their VMs say about themselves, and cordons them before scheduled events" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}"
USER 10001:10001
ENTRYPOINT ["/opt/venv/bin/imds-agent"]
CMD ["run"]
