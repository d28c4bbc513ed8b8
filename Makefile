# Each command installs what it needs, says what it is doing, and can be stopped half-way and started again.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test dev check audit format bench down

# Node as package.json pins it, whatever Node the machine came with.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
MODULES := node_modules/.package-lock.json

help: ## Shows this
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

demo: $(MODULES) ## Boots a cluster, installs Signalbox and deploys in it; AUTO=1 approves by itself
	@node test/demo/demo.ts

test: $(MODULES) audit ## Runs every test, on clusters of its own, and the audit
	@node test/run.ts

dev: $(MODULES) ## Runs the operator from source against the local cluster, again after each change
	@node test/demo/dev.ts

check: $(MODULES) ## Checks types, lint, format, generated files and the lockfile
	tsc -p .
	oxlint --type-aware --deny-warnings
	biome format .
	node src/api/generate.ts --check
	node deploy/check-lockfile.ts

audit: $(MODULES) ## Asks the registry for advisories about our packages
	@node deploy/audit.ts

format: $(MODULES) ## Formats the code and writes the generated files
	biome format --write .
	node src/api/generate.ts

bench: $(MODULES) ## Measures throughput, latency and cost on simulated nodes, and how long admission takes
	@node test/bench/bench.ts
	@node test/bench/admission.ts

down: $(MODULES) ## Removes the local cluster and all that it left on the machine
	@node test/cluster/cli.ts down

$(MODULES): package-lock.json
	@echo "Installing the packages of package-lock.json"
	@npm ci --loglevel=error
