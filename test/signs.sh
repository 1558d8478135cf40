#!/bin/sh
# Prints libcrypto and the packages that call it themselves, in their code or in their tests, one a
# line: what can differ with the tag openssl. All others sign through them.
# usage: signs.sh PACKAGE...
set -eu
go list -f '{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}} {{join .XTestImports " "}}' "$@" |
	grep -E '/keystore/libcrypto( |$)' | cut -d ' ' -f 1
