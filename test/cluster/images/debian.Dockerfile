# Stands in for a slim Debian from a registry.
FROM scratch
ADD debian.tar /
CMD ["bash"]
