# Stands in for an image that has Terraform to copy from.
FROM scratch
COPY terraform /usr/local/bin/terraform
