# The server in a container, for staging: docker run -p 4310:4310 -v media:/data <image> [flags]
#
# Promises (test/project/docker.test.ts): the server runs without root and writes only to /data, so the root filesystem may be
# read-only. SIGTERM drains it. The admin plane can be reached only from inside the container.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No scripts: `prepare` would build, but the sources are not copied yet. They are copied later, so that their changes do not
# invalidate this layer.
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts
COPY openapi*.yaml tsconfig.json tsconfig.build.json rolldown.config.js ./
COPY src ./src
RUN npm run build

FROM node:24-slim
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts
COPY openapi*.yaml ./
COPY --from=build /app/dist ./dist
# A new volume that is mounted here gets this owner. 1000 is the image's user `node`. It is a number so that Kubernetes can see that
# it is not root.
RUN mkdir /data && chown 1000:1000 /data
USER 1000:1000
VOLUME /data

# `docker stop` waits ten seconds. The grace and two seconds for closing must fit into them.
ENV NODE_ENV=production \
    XENONFLARE_MOCK_HOST=0.0.0.0 \
    XENONFLARE_MOCK_PORT=4310 \
    XENONFLARE_MOCK_ADMIN_PORT=4311 \
    XENONFLARE_MOCK_DATA_DIR=/data \
    XENONFLARE_MOCK_GRACE=7s
EXPOSE 4310

# While the server drains, `ready` answers 503 and the container is unhealthy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.XENONFLARE_MOCK_ADMIN_PORT}/__admin/ready`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# There is no shell in between, so the process itself gets SIGTERM. Arguments of `docker run` are flags of the server.
ENTRYPOINT ["node", "/app/dist/cli/launch.cjs"]
