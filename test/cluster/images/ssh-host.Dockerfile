# A host that people and Ansible log in to: sshd that runs as the user who logs in, so it needs no root.
FROM localhost/signalbox-base/debian:trixie
# An account without a password is locked, which sshd refuses: the star is a password that nothing matches.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends openssh-server python3 \
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
 && useradd --uid 65532 --user-group --create-home --password '*' --shell /bin/bash ops
USER 65532:65532
CMD ["/usr/sbin/sshd", "-D", "-e"]
