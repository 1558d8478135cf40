#!/bin/sh
# Prints the packages whose tests may sign with libcrypto, one a line: those that
# differ with the tag openssl.
# usage: signs.sh PACKAGE...
set -eu
deps='{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}'
for package in $(go list -f "$deps" "$@"); do
	! go list -test -deps "$package" | grep -q '/keystore/libcrypto$' || echo "$package"
done
