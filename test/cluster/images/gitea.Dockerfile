# A git forge: Gitea, and the git that it calls.
FROM localhost/signalbox-base/debian:trixie
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 65532 --user-group --no-create-home --home-dir /data --shell /bin/bash git
COPY gitea /usr/local/bin/gitea
COPY share /usr/local/share/gitea
USER 65532:65532
CMD ["gitea", "web"]
