# Signpost. `make` alone lists what there is.

DOMAINS   ?=
ENGINE    ?=
FUZZTIME  ?= 30s
BENCH     ?=
VERSION   ?=
RSA       ?=
ARCHS     ?= amd64 arm64

# Pinned, and run from a folder of their own: they are no part of the module.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOTESTSUM   := gotest.tools/gotestsum@v1.13.0
CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

# What was compiled for one clone is good for the next.
GOFLAGS += -trimpath

export DOMAINS ENGINE GOFLAGS VERSION RSA ARCHS

.PHONY: help setup build images deb release up down test test-quick lint bench fleet microbench fuzz clean go

help: ## show this
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z-]*\):.*## /  \1 - /p' Makefile | awk -F ' - ' '{ printf "%-11s %s\n", $$1, $$2 }'

setup: go ## install what up and test need, and start the container engine
	@sh test/setup.sh tests
	@[ "$$SIGNPOST_NO_CONTAINERS" = 1 ] || sh -c '. docker/engine.sh && find_engine && sh docker/base.sh' || \
		echo 'setup: no container engine; hint: SIGNPOST_NO_CONTAINERS=1 makes the tests do without' >&2

build: go ## static binaries in bin/ (RSA=go: without OpenSSL's libcrypto)
	@sh docker/binaries.sh

images: build ## the images signpost and signpost-postfix
	@sh docker/images.sh

deb: go ## Debian packages and RPMs for amd64 and arm64 in build/packages (ARCHS, VERSION=1.2.3, RSA=go)
	@for arch in $(ARCHS); do \
		ARCH=$$arch OUT=build/$$arch sh docker/binaries.sh && \
		sh docker/debian/package.sh $$arch build/$$arch build/packages || exit 1; \
	done

release: go ## archives, packages, images and checksums for amd64 and arm64 in build/release (VERSION=1.2.3, ARCHS, RSA=go)
	@sh docker/release.sh $(CYCLONEDX)

up: go ## send a message through Postfix and signpostd, verify it, print the DNS records (DOMAINS, SMTP_PORT, STATUS_PORT, ENGINE=none)
	@MAKE='$(MAKE)' sh docker/up.sh

down: ## stop what up started; keys stay
	@sh docker/down.sh

test: setup ## everything: vet, unit, command line, whole system, containers
	@bash test/run.sh all $(GOTESTSUM)

test-quick: go ## unit and command-line tests, without containers
	@sh test/setup.sh tests
	@bash test/run.sh quick $(GOTESTSUM)

lint: go ## gofmt, vet, staticcheck, govulncheck, actionlint, shell syntax
	@sh test/lint.sh $(STATICCHECK) $(GOVULNCHECK) $(ACTIONLINT)

bench: build ## signpostd against other milters that sign, as root (BENCH='-only 4KiB -rounds 5', BENCH=-help)
	@sh test/setup.sh bench
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=bench' -o build/signpostd-go ./cmd/signpostd
	@go build -buildvcs=false -o build/bench ./test/bench
	@build/bench -daemons signpostd=bin/signpostd,signpostd-go=build/signpostd-go $(BENCH)

fleet: go ## four Postfix nodes and a thousand domains on one Redis, and on one Vault: what becomes of the mail
	@sh test/setup.sh tests
	@FLEET=long go test -count=1 -v -tags openssl -timeout 60m -run '^TestFleet$$' ./test/system

microbench: go ## Go benchmarks of the parts, for benchstat
	@go test -run '^$$' -bench . -benchmem ./...

fuzz: go ## every fuzz target for FUZZTIME each
	@sh test/fuzz.sh $(FUZZTIME)

clean: down ## remove what build, up and test left; keys and images stay
	@rm -rf bin build

go:
	@sh test/setup.sh go
