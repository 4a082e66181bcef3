# The codec as an HTTP service on a CPU: docker build -t aeedge . && docker run --rm -p 8000:8000 aeedge
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/aeedge && /opt/aeedge/bin/pip install --no-cache-dir ".[cpu,serve]"

FROM python:3.12-slim
COPY --from=build /opt/aeedge /opt/aeedge
RUN useradd --system --no-create-home aeedge
USER aeedge
ENV PATH=/opt/aeedge/bin:$PATH
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz')"]
STOPSIGNAL SIGTERM
CMD ["aeedge", "serve", "--host", "0.0.0.0", "--port", "8000"]
