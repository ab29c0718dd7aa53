# Pin the base by digest where you build for others: --build-arg BASE=python:3.13-slim-bookworm@sha256:...
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
# Without pip in it: the base's own pip fills it, and none is left at run time.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --only-binary :all: \
        --no-deps --require-hashes -r requirements.lock \
    && awk '/^flit-core==/ { on = 1 } on { print } on && !/\\$/ { exit }' requirements-dev.lock > flit.lock \
    && python -m pip install --no-cache-dir --only-binary :all: --no-deps --require-hashes -r flit.lock
COPY pyproject.toml README.md LICENSE ./
COPY agent agent
# unchecked-hash: .pyc files stay good whatever the copy below does to modification times. With a read-only root stale ones
# are compiled again at each start, which takes twice the memory and seconds.
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile --no-index --no-deps /wheels/*.whl \
    && python -m compileall -q -f --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
# The official images come without bytecode of the standard library: half a second and 4 MiB at each start.
RUN ["python", "-c", "import compileall, sysconfig, py_compile; compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=2, force=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"]
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
ENTRYPOINT ["/opt/venv/bin/imds-agent"]
CMD ["run"]
