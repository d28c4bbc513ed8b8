# An object store: S3 over a folder.
FROM scratch
COPY versitygw /bin/versitygw
ENTRYPOINT ["/bin/versitygw"]
