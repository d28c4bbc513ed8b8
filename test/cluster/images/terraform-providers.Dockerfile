# Providers for Terraform and OpenTofu, laid out as a filesystem mirror.
FROM scratch
COPY providers /providers
