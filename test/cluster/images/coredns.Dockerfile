# Answers the cluster's DNS.
FROM scratch
COPY coredns /bin/coredns
ENTRYPOINT ["/bin/coredns"]
