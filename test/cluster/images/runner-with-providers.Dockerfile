# A runner as people extend it: with a mirror of the providers that their code needs.
ARG RUNNER
ARG PROVIDERS
FROM ${PROVIDERS} AS providers

FROM ${RUNNER}
COPY --from=providers /providers /providers
