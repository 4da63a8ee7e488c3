# Examples of plugins, built out of the tree (examples/Makefile, tests/package).
exampledir = $(docdir)/examples
dist_example_DATA = examples/minbytes.c examples/datagram.c examples/Makefile
