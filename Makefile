# Signpost. `make` alone lists what there is.

DOMAINS   ?=
ENGINE    ?=
FUZZTIME  ?= 30s
BENCH     ?=
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
RSA       ?=

# Pinned, and run from a folder of their own: they are no part of the module.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# What was compiled for one clone is good for the next.
GOFLAGS += -trimpath

export DOMAINS ENGINE GOFLAGS VERSION RSA

.PHONY: help setup build images up down test lint bench microbench fuzz clean go

help: ## show this
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z]*\):.*## /  \1 - /p' Makefile | awk -F ' - ' '{ printf "%-11s %s\n", $$1, $$2 }'

setup: go ## install what up and test need, and start the container engine
	@sh test/setup.sh tests
	@[ "$$SIGNPOST_NO_CONTAINERS" = 1 ] || sh -c '. docker/engine.sh && find_engine && sh docker/base.sh' || \
		echo 'setup: no container engine; hint: SIGNPOST_NO_CONTAINERS=1 makes the tests do without' >&2

build: go ## static binaries in bin/ (RSA=go: without OpenSSL's libcrypto)
	@sh docker/binaries.sh

images: build ## the images signpost and signpost-postfix
	@sh docker/images.sh

up: go ## send a message through Postfix and signpostd, verify it, print the DNS records (DOMAINS, SMTP_PORT, STATUS_PORT, ENGINE=none)
	@MAKE='$(MAKE)' sh docker/up.sh

down: ## stop what up started; keys stay
	@sh docker/down.sh

# First with the race detector and libcrypto, the longest first, and more packages
# at a time than there are processors, for much of their time is spent waiting.
# Then as pure Go where that is another program: where libcrypto can sign. vet is
# run once for all. Of its own accord each program with the race detector waits a
# second at its end.
test: setup ## everything: vet, unit, command line, whole system, containers
	@[ "$$SIGNPOST_NO_CONTAINERS" != 1 ] || echo 'test: CONTAINER TESTS NOT RUN, because SIGNPOST_NO_CONTAINERS=1'
	@go vet ./... && go vet -tags openssl ./...
	@GORACE=atexit_sleep_ms=50 go test -count=1 -vet=off -p $$(( $$(nproc) + 1 )) -race -tags openssl ./test/system ./test/compose ./...
	@go test -count=1 -vet=off $$(sh test/signs.sh ./... | grep -v /test/)

lint: go ## gofmt, vet, staticcheck, govulncheck, shell syntax
	@sh test/lint.sh $(STATICCHECK) $(GOVULNCHECK)

bench: build ## signpostd against other milters that sign, as root (BENCH='-only 4KiB -rounds 5', BENCH=-help)
	@sh test/setup.sh bench
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o build/signpostd-go ./cmd/signpostd
	@go build -buildvcs=false -o build/bench ./test/bench
	@build/bench -daemons signpostd=bin/signpostd,signpostd-go=build/signpostd-go $(BENCH)

microbench: go ## Go benchmarks of the parts, for benchstat
	@go test -run '^$$' -bench . -benchmem ./...

fuzz: go ## every fuzz target for FUZZTIME each
	@sh test/fuzz.sh $(FUZZTIME)

clean: down ## remove what build, up and test left; keys and images stay
	@rm -rf bin build

go:
	@sh test/setup.sh go
