# Stands in for an image that has OpenTofu to copy from.
FROM scratch
COPY tofu /usr/local/bin/tofu
