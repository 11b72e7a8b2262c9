# The server in a container, for staging: docker run -p 4310:4310 -v media:/data <image> [flags]
#
# Promises (test/project/docker.test.ts): runs without root and writes nowhere but in /data, so the root filesystem may be
# read-only; SIGTERM drains it; the admin plane is reached from inside the container only.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Without scripts: `prepare` would build, and the sources come later, so that this layer outlives their changes.
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
# A volume mounted here for the first time takes this owner. 1000 is the image's user `node`, as a number so that
# Kubernetes can see that it is not root.
RUN mkdir /data && chown 1000:1000 /data
USER 1000:1000
VOLUME /data

# The grace, and two seconds for closing, fit into the ten that `docker stop` waits.
ENV NODE_ENV=production \
    XENONFLARE_MOCK_HOST=0.0.0.0 \
    XENONFLARE_MOCK_PORT=4310 \
    XENONFLARE_MOCK_ADMIN_PORT=4311 \
    XENONFLARE_MOCK_DATA_DIR=/data \
    XENONFLARE_MOCK_GRACE=7s
EXPOSE 4310

# While the server drains, `ready` is 503 and the container unhealthy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.XENONFLARE_MOCK_ADMIN_PORT}/__admin/ready`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# No shell in between: the process gets SIGTERM itself. Arguments of `docker run` are flags.
ENTRYPOINT ["node", "/app/dist/cli/launch.cjs"]
