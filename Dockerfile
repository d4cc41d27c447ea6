# Order Flow: beat, workers, web and Flower are one image; compose.yaml says what each runs.
# Two stages, so that no compiler is in what runs.
FROM python:3.11-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
ENV PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_NO_CACHE_DIR=1
# What live feeds and the history need: --build-arg EXTRAS=history leaves the feeds out.
ARG EXTRAS=history,crypto
RUN python -m venv /opt/orderflow && /opt/orderflow/bin/pip install --disable-pip-version-check ".[$EXTRAS]"
# Where compiling fails, a wheel is interpreted; an image shall not be.
RUN cd / && /opt/orderflow/bin/python -c 'from app.analysis import engine; assert engine.__file__.endswith(".so")'

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/orderflow --create-home orderflow \
    && install --directory --owner=orderflow /var/lib/orderflow-history
COPY --from=build /opt/orderflow /opt/orderflow
COPY deploy/docker/entrypoint.sh /usr/local/bin/entrypoint.sh
ENV PATH=/opt/orderflow/bin:$PATH PYTHONUNBUFFERED=1 ORDERFLOW_LOG_FORMAT=json
USER orderflow
WORKDIR /var/lib/orderflow
ENTRYPOINT ["sh", "/usr/local/bin/entrypoint.sh"]
CMD ["orderflow", "mcp", "--http", "--host", "0.0.0.0"]
