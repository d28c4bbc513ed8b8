# Stands in for an image that has kubectl to copy from.
FROM scratch
COPY kubectl /bin/kubectl
